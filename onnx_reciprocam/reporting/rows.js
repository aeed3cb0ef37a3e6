// The rows, read file by file through script elements: a page opened from a disk may not fetch; and words for them.

const byId = (id) => document.getElementById(id);
const plan = JSON.parse(byId("plan").textContent);
const rows = [];
const labels = new Map(); // how many rows a class is predicted or explained in

function loadRows(grown, failed, chunk = 0) {
  if (chunk === plan.chunks) return;
  const script = document.createElement("script");
  const next = () => {
    script.remove();
    setTimeout(loadRows, 0, grown, failed, chunk + 1);
  };
  script.src = `${plan.data}/rows-${chunk}.js`;
  script.onload = () => {
    grown(chunk + 1 === plan.chunks);
    next();
  };
  script.onerror = () => {
    failed(script.getAttribute("src"));
    grown(chunk + 1 === plan.chunks);
    next();
  };
  document.head.append(script);
}

window.reportRows = (chunk, cards) => {
  for (const row of cards) {
    row.order = rows.length;
    row.search = row.path.toLowerCase();
    row.name = row.path.slice(row.path.lastIndexOf("/") + 1) || row.path;
    row.labels = row.error === undefined ? [...new Set([row.top[0][0], ...row.maps.map((map) => map.label)])] : [];
    row.sure = row.error === undefined ? row.top[0][1] : null;
    row.entropy = row.error === undefined ? row.maps[0].entropy : null;
    for (const label of row.labels) labels.set(label, (labels.get(label) || 0) + 1);
    rows.push(row);
  }
};

const percent = (share) => `${(100 * share).toFixed(1)}%`;
const counted = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children); // strings become text, whatever is in them
  return element;
}
