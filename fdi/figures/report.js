// What is packed: base64 of gzip.
const unpack = async (packed, type) => {
  const bytes = Uint8Array.from(atob(packed), letter => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain, {headers: {"Content-Type": type}});
};

// Pictures: unpacked when they come into view, and before the page is printed.
const show = async image => {
  const svg = await (await unpack(image.dataset.svg, "image/svg+xml")).blob();
  image.src = URL.createObjectURL(svg);
};
const seen = new IntersectionObserver(entries => {
  for (const entry of entries.filter(entry => entry.isIntersecting)) {
    seen.unobserve(entry.target);
    show(entry.target);
  }
}, {rootMargin: "400px"});
for (const image of document.querySelectorAll("img[data-svg]")) seen.observe(image);
addEventListener("beforeprint", () => {
  for (const image of document.querySelectorAll("img[data-svg]:not([src])")) show(image);
});

// Filters: every word must hold of a row. key=value, key<value and key>value ask a column, or a key
// of the configuration by the end of its name; any other word must be somewhere in the row.
const lower = text => String(text ?? "").toLowerCase();
const same = (a, b) => lower(a) === lower(b)
  || ((a ?? "") !== "" && b !== "" && Number(a) === Number(b));
const holds = (word, row) => {
  const asked = word.match(/^([^=<>]+)([=<>])(.+)$/);
  if (!asked) return row.text().includes(word);
  const [, key, how, value] = asked;
  return row.values(key).some(found => {
    if (how !== "=") return found !== "" && found !== null
      && (how === "<" ? parseFloat(found) < Number(value) : parseFloat(found) > Number(value));
    return key === "note" ? lower(found).includes(value)
      : same(found, value) || String(found ?? "").split(/, ?|\n/).some(part => same(part, value));
  });
};
const words = input => input.value.toLowerCase().split(/\s+/).filter(Boolean);
const order = (a, b) => {
  const [x, y] = [a, b].map(text => parseFloat(String(text ?? "").replaceAll(",", "")));
  return Number.isNaN(x) || Number.isNaN(y)
    ? Number.isNaN(x) - Number.isNaN(y) || String(a ?? "").localeCompare(String(b ?? ""))
    : x - y;
};
const sorting = (head, sort) => {
  const act = () => {
    const up = head.getAttribute("aria-sort") !== "ascending" ? 1 : -1;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up > 0 ? "ascending" : "descending");
    sort(up);
  };
  head.tabIndex = 0;
  head.onclick = act;
  head.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault(); // a space would scroll the page
    act();
  });
};

// Tables that stand in the page: a click on a head sorts, a field above filters.
for (const head of document.querySelectorAll("table:not(#runs) th")) sorting(head, up => {
  const body = head.closest("table").tBodies[0], column = head.cellIndex;
  const text = row => row.cells[column].textContent;
  body.append(...[...body.rows].sort((a, b) => up * order(text(a), text(b))));
});
const ended = (name, key) => {
  const whole = lower(name).replace(" (%)", "");
  return whole === key || whole.endsWith("." + key);
};
for (const input of document.querySelectorAll("input[data-static]")) input.oninput = () => {
  const asked = words(input), body = input.parentNode.querySelector("tbody");
  const names = [...body.parentNode.tHead.rows[0].cells].map(head => head.textContent);
  for (const row of body.rows) {
    const cells = [...row.cells].map(cell => cell.textContent);
    const settings = cells.join(", ").split(/, |\n/).map(part => part.split(" = "));
    const one = {
      text: () => lower(cells.join(" ")),
      values: key => [
        ...cells.filter((_, i) => ended(names[i], key)),
        ...settings.filter(part => part.length === 2 && ended(part[0], key)).map(part => part[1]),
      ],
    };
    row.hidden = !asked.every(word => holds(word, one));
  }
};

// All runs: a table of what is packed in the page, and two of them beside each other.
const FEW = 200;
const node = (tag, text = "", kind = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = kind;
  return made;
};
const tabulate = (heads, rows) => {
  const table = node("table"), body = table.createTBody(), head = table.createTHead().insertRow();
  for (const text of heads) head.append(node("th", text));
  for (const cells of rows) {
    const row = body.insertRow();
    for (const text of cells) row.append(node("td", text ?? "-"));
  }
  const around = node("div", "", "table");
  around.append(table);
  return around;
};
const explore = async place => {
  const data = await (await unpack(place.dataset.runs, "application/json")).json();
  const value = (key, i) => data.same[key] ?? data.config[key]?.[i] ?? null;
  const keys = [...Object.keys(data.same), ...Object.keys(data.config)];
  const [input, table, beside] = ["input", "table", ".beside"].map(s => place.querySelector(s));
  const count = place.querySelector(".note"), body = table.tBodies[0];
  let rows = data.rows.map((_, i) => i), all = false, chosen = [];
  const asked = i => ({
    text: () => lower(data.rows[i].join(" ")),
    values: key => [
      ...data.rows[i].filter((_, column) => ended(data.columns[column], key)),
      ...keys.filter(name => ended(name, key)).map(name => value(name, i)),
    ],
  });
  const draw = () => {
    const given = words(input);
    const found = rows.filter(i => given.every(word => holds(word, asked(i))));
    body.replaceChildren(...(all ? found : found.slice(0, FEW)).map(i => {
      const row = node("tr"), cell = node("td"), box = node("input");
      box.type = "checkbox";
      box.checked = chosen.includes(i);
      box.ariaLabel = "compare this run";
      box.onchange = () => {
        chosen = (box.checked ? [...chosen, i] : chosen.filter(other => other !== i)).slice(-2);
        draw();
      };
      cell.append(box);
      row.append(cell, ...data.rows[i].map(text => node("td", text ?? "")));
      return row;
    }));
    count.textContent = `${found.length} of ${rows.length} runs`
      + (found.length > FEW && !all ? `, the first ${FEW} shown ` : " ");
    if (found.length > FEW && !all) {
      const more = node("button", "show all");
      more.onclick = () => { all = true; draw(); };
      count.append(more);
    }
    beside.hidden = chosen.length < 2;
    if (!beside.hidden) beside.replaceChildren(...compare(data, keys, value, chosen));
  };
  table.querySelectorAll("th").forEach((head, column) => column && sorting(head, up => {
    rows.sort((a, b) => up * order(data.rows[a][column - 1], data.rows[b][column - 1]));
    draw();
  }));
  input.oninput = draw;
  draw();
};
const compare = (data, keys, value, [a, b]) => {
  const title = node("div");
  title.append(node("b", "Two runs beside each other"), ...[a, b].map((i, n) =>
    node("div", data.paths[i], n ? "b" : "a")));
  const unlike = keys.filter(key => String(value(key, a)) !== String(value(key, b)));
  const alike = keys.filter(key => !unlike.includes(key) && value(key, a) !== null);
  const config = node("div");
  config.append(node("b", "What differs"), tabulate(["key", "first", "second"],
    [...data.columns.map((name, c) => [name, data.rows[a][c], data.rows[b][c]])
      .filter(([name, x, y]) => name !== "settings" && x !== y),
     ...unlike.map(key => [key, value(key, a), value(key, b)])]));
  const rest = node("details");
  rest.append(node("summary", `${alike.length} keys that are the same`),
    tabulate(["key", "both"], alike.map(key => [key, value(key, a)])));
  config.append(rest);
  const curves = node("div");
  const judged = [...new Set([a, b].map(i => data.judged[i]))].join(", ");
  curves.append(node("b", `Validation ${judged} by epoch`), plot([a, b].map(i => data.curves[i])));
  const states = node("div");
  states.append(node("b", "Initial state"));
  for (const [n, i] of [a, b].entries()) {
    states.append(node("div", n ? "second" : "first", n ? "b" : "a"));
    states.append(data.probes[i] ? tabulate(data.measured, data.probes[i])
      : node("p", "not measured", "note"));
  }
  return [title, curves, config, states];
};
const plot = curves => {
  const known = curves.filter(Boolean);
  if (!known.length) return node("p", "none recorded", "note");
  const last = Math.max(...known.map(([epochs]) => epochs.at(-1)), 2);
  const reached = known.flatMap(([, values]) => values), low = Math.min(0, ...reached);
  const most = Math.max(...reached), top = most > 5 && most <= 100 ? 100 : most || 1;
  const x = epoch => 40 + 340 * (epoch - 1) / (last - 1);
  const y = value => 205 - 190 * (value - low) / (top - low);
  const line = (points, colour) => `<polyline fill="none" stroke="var(--${colour})" `
    + `stroke-width="2" points="${points}"/>`;
  const ticks = [0, 1, 2, 3, 4].map(k => Number((low + k * (top - low) / 4).toPrecision(3)));
  const marks = ticks.map(p => `<line x1="40" x2="380" y1="${y(p)}" y2="${y(p)}" `
    + `stroke="var(--line)"/><text x="34" y="${y(p) + 4}" text-anchor="end" font-size="11">${p}`
    + `</text>`).join("");
  const drawn = curves.map((curve, n) => curve ? line(curve[0].map((epoch, k) =>
    `${x(epoch).toFixed(1)},${y(curve[1][k]).toFixed(1)}`).join(" "), n ? "b" : "a") : "").join("");
  const around = node("div");
  around.innerHTML = `<svg viewBox="0 0 390 230" role="img" aria-label="validation of both runs">${marks}<text x="40" y="222" font-size="11">1</text><text x="380" y="222" `
    + `text-anchor="end" font-size="11">${last}</text>${drawn}</svg>`;
  return around;
};
for (const place of document.querySelectorAll("[data-runs]")) explore(place);
