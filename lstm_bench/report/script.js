// Sorts and filters tables, and hides columns. Without it the page is complete: tables
// and figures are plain HTML. It stores nothing and loads nothing.
"use strict";
(() => {
  const make = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  const say = make("div", { className: "toast", role: "status" });
  document.body.append(say);
  let silence;
  const tell = (text) => {
    say.textContent = text;
    clearTimeout(silence);
    silence = setTimeout(() => (say.textContent = ""), 4000);
  };

  // ---- tables ------------------------------------------------------------
  // A cell's number, from its text: "1,234.5", "+0.0123", "< 0.001", "0.81 to 0.85"
  // (the lower bound), "12.5%". Missing values ("–") come last in both directions.
  const number = (text) => {
    const match = text.replace(/,/g, "").replace("−", "-").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return match ? Number(match[0]) - (text.startsWith("<") ? 1e-12 : 0) : NaN;
  };
  const cellText = (row, i) => row.cells[i].dataset.text ?? row.cells[i].textContent.trim();
  const compare = (i, numeric, sign) => (a, b) => {
    const [x, y] = [a, b].map((row) => cellText(row, i));
    if ((x === "–") !== (y === "–")) return x === "–" ? 1 : -1;
    const by = numeric ? number(x) - number(y) : x.localeCompare(y, "en", { numeric: true });
    return sign * (by || 0);
  };

  // Words and "quoted words" must be in the row; units>32 and head=softmax test one
  // column, by its name in the CSV or by its heading. Returns the test, or an error.
  const PART = /([\w.]+)\s*(<=|>=|=|<|>)\s*("[^"]*"|[^\s"]+)|"([^"]*)"|(\S+)/g;
  const plainName = (text) => text.toLowerCase().replace(/\(.*?\)/g, "").trim().replace(/\s+/g, "_");
  const matcher = (query, heads) => {
    const tests = [];
    for (const [, name, sign, given, quoted, word] of query.toLowerCase().matchAll(PART)) {
      if (sign) {
        const i = heads.findIndex((head) =>
          [head.dataset.key.toLowerCase(), plainName(head.textContent)].includes(name));
        if (i < 0) return { wrong: `no column ${name}` };
        const wanted = given.replace(/"/g, "");
        const n = Number(wanted);
        if (sign === "=") {
          tests.push((row) => {
            const text = cellText(row, i).toLowerCase();
            return text === wanted || (!isNaN(n) && number(text) === n);
          });
          continue;
        }
        if (isNaN(n)) return { wrong: `${name}${sign} needs a number` };
        tests.push((row) => {
          const value = number(cellText(row, i));
          return { "<": value < n, ">": value > n, "<=": value <= n, ">=": value >= n }[sign];
        });
      } else if (/[<>=]$/.test(word ?? "")) {
        return { wrong: `${word} needs a value` };
      } else {
        // In one cell, at the start of a word; a quoted word must match to its end.
        const text = (quoted ?? word).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const pattern = new RegExp(`(^|[^\\w])${text}${quoted === undefined ? "" : "([^\\w]|$)"}`);
        tests.push((row) => [...row.cells].some((cell) =>
          pattern.test((cell.dataset.text ?? cell.textContent).toLowerCase())));
      }
    }
    return { test: (row) => tests.every((test) => test(row)) };
  };

  for (const table of document.querySelectorAll("table.data")) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];

    heads.forEach((head, i) => {
      if (head.classList.contains("curve") || head.classList.contains("command")) return;
      const numeric = head.classList.contains("number");
      // Not a button: Chromium omits buttons from headings that it repeats in print.
      const button = make("span", { className: "sort", tabIndex: 0 }, ...head.childNodes);
      button.setAttribute("role", "button");
      button.title = `${head.title}\nSort; filter by ${head.dataset.key}`.trim();
      head.title = "";
      head.append(button);
      button.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        button.click();
      });
      button.addEventListener("click", () => {
        // Numbers start with the largest, words with A; a third click undoes it.
        const order = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
        const next = order[order.indexOf(head.getAttribute("aria-sort")) + 1];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        const rows = next
          ? [...original].sort(compare(i, numeric, next === "ascending" ? 1 : -1))
          : original;
        body.append(...rows);
      });
    });

    const hide = (i, hidden) => {
      for (const row of table.rows) row.cells[i].hidden = hidden;
    };
    const optional = heads.some((head) => head.dataset.more !== undefined);
    if (original.length < 6 && !optional) continue;

    const tools = make("div", { className: "tools" });
    if (original.length >= 6) {
      const shown = make("output", { textContent: `${original.length} rows` });
      const some = heads.find((head) => head.classList.contains("number"));
      const input = make("input", {
        type: "search",
        placeholder: some ? `filter: words, ${some.dataset.key}>1` : "filter: words",
      });
      input.setAttribute("aria-label", `Filter the rows of ${table.dataset.name}`);
      input.addEventListener("input", () => {
        const { test, wrong } = matcher(input.value, heads);
        input.setAttribute("aria-invalid", String(Boolean(wrong)));
        original.forEach((row) => (row.hidden = wrong ? false : !test(row)));
        if (wrong) {
          shown.textContent = `${wrong}; hover a heading for its name`;
          return;
        }
        const n = original.filter((row) => !row.hidden).length;
        shown.textContent = n === original.length ? `${n} rows` : `${n} of ${original.length} rows`;
      });
      tools.append(input, shown);
    }
    const menu = make("details", { className: "columns" });
    const label = make("summary");
    const boxes = heads.map((head, i) => {
      const box = make("input", { type: "checkbox", checked: head.dataset.more === undefined });
      box.addEventListener("change", () => {
        hide(i, !box.checked);
        count();
      });
      if (!box.checked) hide(i, true);
      return box;
    });
    const count = () => {
      const n = boxes.filter((box) => !box.checked).length;
      label.textContent = n ? `Columns (${n} hidden)` : "Columns";
    };
    count();
    const all = make("button", { type: "button", textContent: "show all" });
    all.addEventListener("click", () => {
      boxes.forEach((box, i) => { box.checked = true; hide(i, false); });
      count();
    });
    const choices = make("div", { className: "choices" }, all);
    heads.forEach((head, i) => choices.append(make("label", {}, boxes[i], ` ${head.textContent}`)));
    menu.append(label, choices);
    tools.append(menu);
    table.closest(".scroll").before(tools);
  }
  // A click elsewhere closes an open menu.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.columns[open]"))
      if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape")
      for (const menu of document.querySelectorAll("details.columns[open]")) menu.open = false;
  });

  // ---- commands ----------------------------------------------------------
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Frames such as MLflow's have no clipboard; a selection can be copied.
      const area = make("textarea", { value: text, className: "offscreen" });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const code of document.querySelectorAll("td.command code")) {
    const button = make("button", { type: "button", className: "copy", textContent: "copy" });
    button.setAttribute("aria-label", `Copy the command: ${code.textContent}`);
    button.addEventListener("click", async () => {
      const done = await copy(code.textContent);
      tell(done ? "The command is in the clipboard." : "This viewer forbids copying: select the text.");
    });
    // A command is long, so it is hidden until shown.
    const show = make("button", { type: "button", className: "copy show" });
    const toggle = (hidden) => {
      code.hidden = hidden;
      show.textContent = hidden ? "show" : "hide";
      show.setAttribute("aria-expanded", String(!hidden));
    };
    show.setAttribute("aria-label", `Show the command: ${code.textContent}`);
    show.addEventListener("click", () => toggle(!code.hidden));
    toggle(true);
    code.before(make("span", { className: "buttons" }, button, show));
  }

  // ---- figures -----------------------------------------------------------
  const warnFramed = () => {
    if (window.self !== window.top)
      tell("If nothing is saved, this viewer forbids downloads: open the report's own file.");
  };
  for (const link of document.querySelectorAll("a[download]")) link.addEventListener("click", warnFramed);
  for (const figure of document.querySelectorAll("figure[id]")) {
    const svg = figure.querySelector("svg.figure");
    const button = make("button", { type: "button", className: "get", textContent: "SVG" });
    button.setAttribute("aria-label", `Download figure ${figure.id} as SVG`);
    button.addEventListener("click", () => {
      const alone = svg.cloneNode(true);
      for (const node of alone.querySelectorAll("text")) node.style.fontFamily = "sans-serif";
      const text = new XMLSerializer().serializeToString(alone).replaceAll("currentColor", "#1b1c1d");
      const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
      make("a", { href: address, download: `${figure.id}.svg` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
      warnFramed();
    });
    figure.querySelector(".gets").append(button);
  }

  // Tooltips of points, without a delay and on touch screens; without this script, the
  // SVG's title elements show after a delay.
  const tip = make("div", { className: "tip", hidden: true });
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  const show = (event) => {
    const point = event.target.closest?.("svg.figure .point");
    tip.hidden = !point;
    if (!point) return;
    const title = point.querySelector("title");
    if (title) {
      point.dataset.title = title.textContent;
      title.remove();
    }
    tip.textContent = point.dataset.title;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above < 8 ? event.clientY + 18 : above}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => (tip.hidden = true), true);

  // ---- contents ----------------------------------------------------------
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const visible = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) visible[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    for (const a of links.values()) a.removeAttribute("aria-current");
    const first = [...links.keys()].find((id) => visible.has(id));
    if (first) links.get(first).setAttribute("aria-current", "true");
  }, { rootMargin: "-15% 0px -60%" });
  for (const section of document.querySelectorAll("main > section[id]")) watch.observe(section);
})();
