// Filters: every word must hold of a row. key=value, key<value and key>value ask a column, or a key
// of the configuration by the end of its name; any other word must be somewhere in the row.
const lower = text => text.toLowerCase();
const same = (a, b) => lower(a) === lower(b)
  || (a !== "" && b !== "" && Number(a) === Number(b));
const holds = (word, row) => {
  const asked = word.match(/^([^=<>]+)([=<>])(.+)$/);
  if (!asked) return row.text().includes(word);
  const [, key, how, value] = asked;
  return row.values(key).some(found => {
    if (how !== "=") return (how === "<" ? parseFloat(found) < Number(value) : parseFloat(found) > Number(value));
    return key === "note" ? lower(found).includes(value)
      : found.split(/, ?|\n/).some(part => same(part, value));
  });
};
const words = input => input.value.toLowerCase().split(/\s+/).filter(Boolean);
const order = (a, b) => {
  const [x, y] = [a, b].map(text => parseFloat(text.replaceAll(",", "")));
  return Number.isNaN(x) || Number.isNaN(y)
    ? Number.isNaN(x) - Number.isNaN(y) || a.localeCompare(b)
    : x - y;
};

// A click on a head, Enter or the space bar sorts its table; a field above filters.
for (const head of document.querySelectorAll("th")) {
  const sort = () => {
    const up = head.getAttribute("aria-sort") !== "ascending" ? 1 : -1;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up > 0 ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const text = row => row.cells[head.cellIndex].textContent;
    body.append(...[...body.rows].sort((a, b) => up * order(text(a), text(b))));
  };
  head.tabIndex = 0;
  head.onclick = sort;
  head.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault(); // a space would scroll the page
    sort();
  });
}
const ended = (name, key) => {
  const whole = lower(name).replace(" (%)", "");
  return whole === key || whole.endsWith("." + key);
};
for (const input of document.querySelectorAll("input")) input.hidden = false; // of no use without a script
for (const input of document.querySelectorAll("input")) input.oninput = () => {
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
