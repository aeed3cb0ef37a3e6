// Which rows are shown, and in what order.

const BINS = 10;
let bin = null; // of the confidence, when a bar of the histogram is pressed
const KINDS = {
  all: () => true,
  explained: (row) => row.error === undefined,
  failed: (row) => row.error !== undefined,
  flat: (row) => row.flat === true,
  gone: (row) => row.gone !== undefined,
};
const by = (value, sign) => (a, b) => { // rows without the value go last
  const [x, y] = [value(a), value(b)];
  if (x === null || y === null) return (x === null) - (y === null) || a.order - b.order;
  return sign * (x - y) || a.order - b.order;
};
const ORDERS = {
  order: (a, b) => a.order - b.order,
  sure: by((row) => row.sure, -1),
  unsure: by((row) => row.sure, 1),
  focused: by((row) => row.entropy, 1),
  spread: by((row) => row.entropy, -1),
  path: (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.order - b.order),
};
const binOf = (row) => (row.sure === null ? null : Math.min(BINS - 1, Math.floor(row.sure * BINS)));

function ofClass(text) {
  if (!text) return () => true;
  if (labels.has(text)) return (row) => row.labels.includes(text);
  const part = text.toLowerCase();
  return (row) => row.labels.some((label) => label.toLowerCase().includes(part));
}

function apply() {
  const rightClass = ofClass(byId("class").value.trim());
  const part = byId("path").value.trim().toLowerCase();
  const kind = KINDS[byId("kind").value];
  const found = rows.filter((row) => kind(row) && row.search.includes(part) && rightClass(row));
  const bins = new Array(BINS).fill(0);
  for (const row of found) if (row.sure !== null) bins[binOf(row)]++;
  drawHistogram(bins);
  const list = bin === null ? found : found.filter((row) => binOf(row) === bin);
  showRows(list.sort(ORDERS[byId("sort").value]));
  const of = list.length < rows.length ? `${list.length.toLocaleString("en")} of ` : "";
  const loading = loaded ? "" : ", loading…";
  byId("count").textContent = list.length ? `${of}${counted(rows.length, "row")}${loading}` : `No row of ${rows.length.toLocaleString("en")} fits${loading}`;
}

function drawHistogram(bins) {
  const most = Math.max(1, ...bins);
  bins.forEach((count, at) => {
    const bar = byId("histogram").children[at];
    bar.setAttribute("aria-label", `confidence ${10 * at} to ${10 * (at + 1)}%: ${counted(count, "picture")}`);
    bar.setAttribute("aria-pressed", bin === at);
    bar.title = bar.getAttribute("aria-label");
    bar.style.setProperty("--height", count / most);
  });
}

function suggest() {
  const part = byId("class").value.trim().toLowerCase();
  const fitting = [...labels].filter(([label]) => label.toLowerCase().includes(part));
  const common = fitting.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 50);
  byId("classes").replaceChildren(...common.map(([label, count]) => make("option", { value: label }, counted(count, "picture"))));
}

function changed() {
  apply();
  if (gallery.getBoundingClientRect().top < 0) gallery.scrollIntoView();
}

function setShareOfAll(share) {
  shareOfAll = share;
  byId("share").setAttribute("aria-valuetext", `${share}% overlay`);
  for (const row of rows) row.share = undefined;
  for (const box of gallery.querySelectorAll(".compare:has(input)")) setShare(box, share);
}

let waiting = 0;
const soon = () => {
  clearTimeout(waiting);
  waiting = setTimeout(changed, 120);
};
byId("class").addEventListener("input", () => {
  suggest();
  soon();
});
byId("path").addEventListener("input", soon);
byId("kind").addEventListener("change", changed);
byId("sort").addEventListener("change", changed);
byId("share").addEventListener("input", (event) => setShareOfAll(Number(event.target.value)));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => {
  bin = null;
  setTimeout(() => {
    setShareOfAll(Number(byId("share").value));
    changed();
  });
});
for (let at = 0; at < BINS; at++) {
  const bar = make("button", { type: "button", "aria-pressed": "false" }, make("span"));
  bar.addEventListener("click", () => {
    bin = bin === at ? null : at;
    changed();
  });
  byId("histogram").append(bar);
}

let loaded = false, applied = 0;
loadRows((last) => {
  loaded = last;
  if (!last && applied && performance.now() - applied < 500) return; // sorting all at every file would take long
  apply();
  suggest();
  applied = performance.now();
}, (file) => {
  byId("trouble").hidden = false;
  byId("trouble").textContent = `Some rows are missing: ${file} cannot be loaded. Keep the folder beside this page.`;
});
