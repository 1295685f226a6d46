"""The report as its reader's browser shows it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest
from browser import accessibility_violations, chromium, requests, set_screen
from mlflow import MlflowClient
from mlflow_server import free_port
from results_builder import (
    SEARCH,
    TRIAL_0,
    TRIAL_1,
    TRIAL_2,
    TRIAL_3,
    make_confirmed_results,
    make_results,
)
from selenium.common.exceptions import NoSuchElementException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.report.render import write_report

BAD = "<script>alert(1)</script>"
MORE = tuple(
    dict(units=16, dropout=d / 100, head="softmax", objective=0.5 + d / 100,
         train_time_s=50.0 + d)
    for d in range(20, 26)
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def page(folder):
    confirmed = make_confirmed_results()
    searched = make_results((*SEARCH, *MORE), confirmed.suite.text, text=BAD)
    results = dataclasses.replace(
        confirmed,
        runs=searched.runs,
        curves=searched.curves,
        samples=searched.samples,
        tracking_url="http://tracking.example:5000",
        errors=confirmed.errors.assign(text=BAD),
    )
    return write_report(analyse(results), folder / "report")


@pytest.fixture(scope="module")
def started(folder):
    with chromium(folder) as browser:
        yield browser


@pytest.fixture
def browser(started, page):
    set_screen(started, 1600)
    started.get(page.as_uri())
    return started


def column(browser, table, i):
    """Return the text of column `i` (from 1) in the rows that are shown."""
    cells = browser.find_elements(
        By.CSS_SELECTOR, f"{table} tbody tr:not([hidden]) > :nth-child({i})"
    )
    return [cell.text for cell in cells]


BOARD = "table[aria-labelledby=t-leaderboard]"


def header(browser, table, text):
    for button in browser.find_elements(By.CSS_SELECTOR, f"{table} thead .sort"):
        if button.text.startswith(text):
            return button
    raise AssertionError(f"no column {text}")


def test_a_reader_asks_nobody_for_anything(browser, page, folder):
    requests(browser)
    browser.get(page.as_uri())
    for figure in browser.find_elements(By.CSS_SELECTOR, "figure .get"):
        browser.execute_script("arguments[0].click()", figure)
    asked = [url for url in requests(browser) if not url.startswith(("data:", "blob:"))]
    assert asked == [page.as_uri()]
    assert [e["message"] for e in browser.get_log("browser")] == []
    assert browser.get_cookies() == []


def test_the_policy_forbids_what_the_page_does_not_do_anyway(browser):
    said = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "fetch('http://127.0.0.1:9/').then(() => done('sent'), e => done(String(e)))"
    )
    assert "TypeError" in said
    assert "Content Security Policy" in str(browser.get_log("browser"))


def test_a_column_sorts_both_ways_and_back(browser):
    before = column(browser, BOARD, 2)
    assert before[0] == TRIAL_2
    button = header(browser, BOARD, "training (s)")
    head = button.find_element(By.XPATH, "./..")
    i = len(head.find_elements(By.XPATH, "preceding-sibling::th")) + 1
    button.click()
    seconds = [float(text) for text in column(browser, BOARD, i)]
    assert head.get_attribute("aria-sort") == "descending"
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] == 75.0
    button.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(browser, BOARD, i)[0] == "10.0"
    button.send_keys(Keys.SPACE)
    assert head.get_attribute("aria-sort") is None
    assert column(browser, BOARD, 2) == before


def test_rows_are_filtered_by_words_and_by_column(browser):
    box = browser.find_element(
        By.XPATH, "//table[@aria-labelledby='t-leaderboard']/../..//input"
    )
    shown = box.find_element(By.XPATH, "following-sibling::output")
    assert shown.text == "11 rows"
    box.send_keys("softmax")
    assert shown.text == "8 of 11 rows"
    box.send_keys(" units>16")
    assert column(browser, BOARD, 2) == [TRIAL_3]
    box.clear()
    box.send_keys("head=sigmoid units=16")
    assert column(browser, BOARD, 2) == [TRIAL_0]
    box.clear()
    box.send_keys("val_accuracy>=0.86")
    assert column(browser, BOARD, 2) == [TRIAL_2, TRIAL_3]
    for query, expected in (
        ('"trial 1"', [TRIAL_1]),
        ("units > 16 softmax", [TRIAL_3]),
        ("training<=10", [TRIAL_0]),
        ("sigm units=64", ["reference old"]),
    ):
        box.clear()
        box.send_keys(query)
        assert column(browser, BOARD, 2) == expected, query
    for query, said in (
        ("foo>3", "no column foo"),
        ("units>", "units> needs a value"),
        ("units>many", "units> needs a number"),
    ):
        box.clear()
        box.send_keys(query)
        assert shown.text.startswith(said)
        assert len(column(browser, BOARD, 2)) == 11
    box.clear()
    box.send_keys("no such thing")
    assert shown.text == "0 of 11 rows"


def test_columns_hide_and_come_back(browser):
    table = browser.find_element(By.CSS_SELECTOR, BOARD)
    menu = table.find_element(By.XPATH, "../..//details")
    log_loss = table.find_element(By.XPATH, ".//th[contains(., 'log loss')]")
    assert not log_loss.is_displayed()
    menu.find_element(By.TAG_NAME, "summary").click()
    label = menu.find_element(By.XPATH, ".//label[contains(., 'log loss')]")
    label.click()
    assert log_loss.is_displayed()
    label.click()
    assert not log_loss.is_displayed()
    menu.find_element(By.XPATH, ".//button[text()='show all']").click()
    assert log_loss.is_displayed()
    assert menu.find_element(By.TAG_NAME, "summary").text == "Columns"


@pytest.mark.parametrize("width", [375, 768, 1600])
def test_nothing_scrolls_sideways_but_tables_and_figures(browser, page, width):
    set_screen(browser, width)
    browser.get(page.as_uri())
    wide = "return [document.documentElement.scrollWidth, innerWidth]"
    needed, given = browser.execute_script(wide)
    assert needed <= given == width


WIDTHS = [390, 1500]
BOXES = """
const boxes = (selector) => [...document.querySelectorAll(selector)].map((e) => {
  const box = e.getBoundingClientRect();
  return [box.left, box.right];
});
"""


@pytest.fixture(params=WIDTHS)
def width(browser, page, request):
    """Give the page a phone's width, then a desktop's."""
    set_screen(browser, request.param)
    browser.get(page.as_uri())
    return request.param


def test_all_of_a_figure_is_in_sight_unless_it_is_wide(browser, width):
    found = browser.execute_script(
        BOXES + "const out = [];"
        "for (const figure of document.querySelectorAll('figure:not(.wide)')) {"
        "  const [view] = boxes(`#${figure.id} .scroll`);"
        "  for (const box of boxes(`#${figure.id} svg text, #${figure.id} .point`))"
        "    out.push([figure.id, ...view, ...box]);"
        "} return out;"
    )
    names = {name for name, *_ in found}
    assert {"figure-confirmed", "figure-forest", "figure-pareto"} <= names
    outside = [f for f in found if f[3] < f[1] - 1 or f[4] > f[2] + 1]
    assert outside == []
    assert all(0 <= f[1] < f[2] <= width for f in found)


def test_the_writing_of_figures_can_be_read(browser, width):
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('svg.figure')].map((svg) => {"
        "  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;"
        "  const of = (t) => scale * parseFloat(getComputedStyle(t).fontSize);"
        "  const all = [...svg.querySelectorAll('text')].map(of);"
        "  return [svg.closest('figure').id, Math.min(...all), Math.max(...all)];"
        "});"
    )
    assert len(sizes) > 5
    assert [one for one in sizes if not 6.5 <= one[1] <= one[2] <= 20] == []


def test_a_wide_figure_shows_the_scores_first(browser, width):
    view, *texts = browser.execute_script(
        BOXES + "return [...boxes('#figure-parallel .scroll'), "
        "...[...document.querySelectorAll('#figure-parallel text')]"
        ".filter((e) => /^(validation|accuracy)$/.test(e.textContent.trim()))"
        ".map((e) => [e.getBoundingClientRect().left, e.getBoundingClientRect().right])"
        "];"
    )
    assert len(texts) == 2
    assert all(view[0] <= left and right <= view[1] for left, right in texts)


def test_what_names_a_row_stays_in_sight_of_a_table_that_scrolls(browser, width):
    found = browser.execute_script(
        "const out = [];"
        "for (const box of document.querySelectorAll('.table .scroll')) {"
        "  box.scrollLeft = box.scrollWidth;"
        "  const view = box.getBoundingClientRect();"
        "  for (const cell of box.querySelectorAll('.pin')) {"
        "    const at = cell.getBoundingClientRect();"
        "    if (at.width) out.push([box.scrollLeft, at.left - view.left, at.right -"
        "      view.left, view.width, cell.closest('table').dataset.name]);"
        "  }"
        "} return out;"
    )
    scrolled = [one for one in found if one[0] > 0]
    assert len({one[4] for one in scrolled}) > (4 if width == 390 else -1)
    # The name is in sight and leaves room for what is scrolled to.
    assert [one for one in scrolled if not -1 <= one[1] < one[2] <= one[3] * 0.6] == []


def test_the_leaderboards_buttons_are_in_sight_on_a_desktop(browser, page):
    set_screen(browser, 1500)
    browser.get(page.as_uri())
    overflow = browser.execute_script(
        "const box = document.querySelector(arguments[0]).closest('.scroll');"
        "return box.scrollWidth - box.clientWidth",
        BOARD,
    )
    assert overflow <= 0


def test_the_commands_buttons_are_in_sight_of_every_table_on_a_desktop(browser, page):
    set_screen(browser, 1500)
    browser.get(page.as_uri())
    found = browser.execute_script(
        "const out = [];"
        "for (const cell of document.querySelectorAll('.table .scroll .command')) {"
        "  const at = cell.getBoundingClientRect();"
        "  const view = cell.closest('.scroll').getBoundingClientRect();"
        "  if (at.width) out.push([cell.closest('table').dataset.name,"
        "    at.left - view.left, view.right - at.right]);"
        "} return out;"
    )
    assert len({one[0] for one in found}) > 2
    assert [one for one in found if one[1] < 0 or one[2] < -1] == []


def test_a_command_is_shown_whole(browser, width):
    cell = browser.find_element(By.CSS_SELECTOR, f"{BOARD} td.command")
    code, button = (cell.find_element(By.CSS_SELECTOR, c) for c in ("code", ".show"))
    assert not code.is_displayed()
    assert button.get_attribute("aria-expanded") == "false"
    browser.execute_script("arguments[0].scrollIntoView({inline: 'end'})", button)
    browser.execute_script("arguments[0].click()", button)
    assert button.get_attribute("aria-expanded") == "true"
    assert code.text == code.get_attribute("textContent")
    assert code.text.startswith("lstm-bench train")
    cut, room = browser.execute_script(
        "const [cell, code] = arguments;"
        "return [Math.max(code.scrollWidth - code.clientWidth, "
        "cell.scrollWidth - cell.clientWidth, code.scrollHeight - code.clientHeight),"
        "cell.closest('.scroll').clientWidth - code.getBoundingClientRect().width]",
        cell,
        code,
    )
    assert cut <= 0
    assert room >= 0
    browser.execute_script("arguments[0].click()", button)
    assert not code.is_displayed()


def test_dark_and_light_follow_the_reader(browser):
    def look():
        return browser.execute_script(
            "const style = e => getComputedStyle(e);"
            "const text = document.querySelector('svg.figure text');"
            "return [style(document.body).backgroundColor, style(document.body).color,"
            " style(text).fill]"
        )

    light = look()
    set_screen(browser, 1600, "dark")
    dark = look()
    assert light[0] == "rgb(255, 255, 255)"
    assert sum(map(int, dark[0][4:-1].split(","))) < 3 * 40
    # Text of drawings has the page's colour.
    assert light[1] == light[2] != dark[1] == dark[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1600])
def test_an_automated_check_of_accessibility_finds_nothing_serious(
    browser, page, width, scheme
):
    set_screen(browser, width, scheme)
    browser.get(page.as_uri())
    assert accessibility_violations(browser) == []


def test_without_scripts_everything_is_there_to_read(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(page.as_uri())
        table = browser.find_element(By.CSS_SELECTOR, BOARD)
        assert table.find_element(
            By.XPATH, ".//th[contains(., 'log loss')]"
        ).is_displayed()
        assert len(column(browser, BOARD, 2)) == 11
        with pytest.raises(NoSuchElementException):
            browser.find_element(By.CSS_SELECTOR, ".tools")
        assert "lstm-bench train" in table.text
    finally:
        browser.execute_cdp_cmd(
            "Emulation.setScriptExecutionDisabled", {"value": False}
        )


def test_print_leaves_out_what_paper_cannot_do(browser):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find_element(By.TAG_NAME, "nav").is_displayed()
    assert not any(
        button.is_displayed()
        for button in browser.find_elements(By.CSS_SELECTOR, ".tools, .get, .copy")
    )
    assert browser.find_element(By.CSS_SELECTOR, BOARD).is_displayed()
    overflow = "return getComputedStyle(document.querySelector('.scroll')).overflow"
    assert browser.execute_script(overflow) == "visible"
    set_screen(browser, 1600)


def test_markup_in_a_review_is_text(browser):
    cells = browser.find_elements(By.CSS_SELECTOR, "td.prose")
    assert BAD in [cell.text for cell in cells]
    scripts = browser.find_elements(By.TAG_NAME, "script")
    assert len(scripts) == 1


def test_a_point_names_its_configuration(browser):
    point = browser.find_element(
        By.CSS_SELECTOR, "#figure-objective_history .point use"
    )
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    tip = browser.find_element(By.CLASS_NAME, "tip")

    def hovered(_):
        # Scrolling, which may still go on, hides it until the pointer moves again.
        ActionChains(browser).move_to_element(point).move_by_offset(1, 0).perform()
        return tip.is_displayed()

    WebDriverWait(browser, 10).until(hovered)
    assert " units, dropout " in tip.text
    assert "(trial " in tip.text


def test_a_command_is_copied(browser):
    button = browser.find_element(By.CSS_SELECTOR, f"{BOARD} .copy")
    assert button.get_attribute("aria-label").startswith("Copy the command: lstm-bench")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    # A reader's own click: without one no page may touch the clipboard.
    button.click()
    deadline = time.monotonic() + 5
    toast = browser.find_element(By.CLASS_NAME, "toast")
    while not toast.text and time.monotonic() < deadline:
        time.sleep(0.05)
    assert toast.text == "The command is in the clipboard."


def wait_for(path):
    deadline = time.monotonic() + 10
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    return path.read_text(encoding="utf-8")


def test_a_figure_is_saved_as_svg_and_its_data_as_csv(browser, folder, page):
    figure = browser.find_element(By.ID, "figure-confirmed")
    for get in figure.find_elements(By.CLASS_NAME, "get"):
        browser.execute_script("arguments[0].click()", get)
    svg = wait_for(folder / "downloads" / "figure-confirmed.svg")
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "currentColor" not in svg
    texts = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
    assert any(text.startswith(f"{TRIAL_2} (n = 3)") for text in texts)
    csv = wait_for(folder / "downloads" / "figure-confirmed.csv")
    table = (page.parent / "tables" / "confirmed.csv").read_text()
    # The drawing has what the table has.
    assert csv.splitlines()[0] == table.splitlines()[0]
    assert set(csv.splitlines()) <= set(table.splitlines())


def test_rows_link_to_their_runs(browser):
    link = browser.find_element(By.CSS_SELECTOR, f"{BOARD} tbody a")
    assert link.get_attribute("href") == (
        "http://tracking.example:5000/#/experiments/1/runs/r2"
        "?workflowType=machine_learning"
    )
    assert link.get_attribute("rel") == "noreferrer"


@pytest.mark.slow
def test_mlflows_own_ui_shows_the_report(browser, page, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("x", (tmp_path / "artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    client.log_artifact(run_id, str(page), "report")
    port = free_port()
    command = [sys.executable, "-m", "lstm_bench", "ui", "--tracking-uri", uri]
    server = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert any("stops it" in line for line in server.stdout)
        browser.get(
            f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{run_id}"
            "/artifacts/report/index.html?workflowType=machine_learning"
        )
        wait = WebDriverWait(browser, 60)
        frame = (By.CSS_SELECTOR, "iframe.mlflow-html-iframe")
        wait.until(expected_conditions.frame_to_be_available_and_switch_to_it(frame))
        heading = (By.TAG_NAME, "h1")
        title = wait.until(expected_conditions.presence_of_element_located(heading))
        assert title.text == "small"
        # The frame is a sandbox; the page's own script runs in it all the same.
        browser.execute_script(
            "arguments[0].click()", header(browser, BOARD, "configuration")
        )
        assert column(browser, BOARD, 2)[0] == TRIAL_0
    finally:
        browser.switch_to.default_content()
        server.terminate()
        server.communicate(timeout=30)
