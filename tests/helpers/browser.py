"""Headless Chromium from the system's packages, for looking at pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

# Without these Chromium calls home at every start.
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


@contextmanager
def chromium(folder: Path) -> Iterator[Chrome]:
    """Yield a browser that logs its requests and saves downloads in `folder`.

    Skips the test where there is none.
    """
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip(
            "no chromium with chromedriver here: install Debian's packages chromium "
            "and chromium-driver to look at pages in a browser"
        )
    options = ChromeOptions()
    options.binary_location = binary
    for argument in (*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    browser = Chrome(options=options, service=Service(driver))
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(folder / "downloads")},
    )
    try:
        yield browser
    finally:
        browser.quit()


def set_screen(browser: Chrome, width: int, scheme: str = "light") -> None:
    """Give the page a width in CSS pixels and the reader's colour scheme."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def requests(browser: Chrome) -> list[str]:
    """Return the addresses that were asked for since the last call."""
    messages = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    ]
    return [
        str(message["params"]["request"]["url"])
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def accessibility_violations(browser: Chrome) -> list[dict[str, Any]]:
    """Return what axe-core finds that is serious or critical."""
    script = resources.files("axe_core_python").joinpath("axe.min.js").read_text()
    browser.execute_script(script)
    # Of thousands of elements, on a machine that has other work.
    browser.set_script_timeout(120)
    found = browser.execute_async_script(
        "axe.run().then(arguments[arguments.length - 1])"
    )
    return [
        {"id": rule["id"], "nodes": [node["html"][:200] for node in rule["nodes"][:3]]}
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
