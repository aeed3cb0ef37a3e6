// One picture over the page: larger, with all its maps and what was predicted.

const dialog = byId("enlarged");
let current = null; // the row

function enlarge(row) {
  if (!row) return;
  current = row;
  byId("title").textContent = row.error === undefined ? row.top[0][0] : "Not explained";
  const at = shown.indexOf(row);
  byId("position").textContent = `${(at + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
  byId("previous").disabled = at <= 0;
  byId("next").disabled = at + 1 >= shown.length;
  byId("maps").replaceChildren(...mapChoice(row));
  showMap(0);
  const predicted = (row.top || []).map(([label, score]) => make("tr", {},
    make("th", { scope: "row" }, label), make("td", {}, percent(score)),
    make("td", { "aria-hidden": "true" }, make("meter", { min: 0, max: 1, value: score }))));
  byId("top").hidden = !predicted.length;
  byId("top").tBodies[0].replaceChildren(...predicted);
  if (!dialog.open) dialog.showModal();
}

function mapChoice(row) {
  if (row.error !== undefined || row.maps.length < 2) return [];
  const choice = make("select", { id: "map" }, ...row.maps.map((map, at) => make("option", { value: at }, map.label)));
  choice.addEventListener("change", () => showMap(Number(choice.value)));
  return [make("label", {}, "Map of ", choice)];
}

function showMap(at) {
  const row = current;
  const stage = byId("stage");
  if (row.error !== undefined) stage.replaceChildren(make("p", { class: "error" }, row.error));
  else stage.replaceChildren(picture(row, row.maps[at], true));
  const told = [["path", row.path], ...(row.error === undefined ? facts(row, row.maps[at]) : [])];
  byId("facts").replaceChildren(...told.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function facts(row, map) {
  const told = [["map of", `${map.label}${map.flat ? " (flat: the same everywhere)" : ""}`]];
  told.push(["entropy", map.entropy === null ? "unknown: the map has NaN or infinite cells" : map.entropy.toFixed(3)]);
  if (row.gone) told.push(["picture", `${row.gone}; the map is shown alone`]);
  if (row.size[0]) told.push(["size", `${row.size[0]} × ${row.size[1]} pixels`]);
  if (row.seconds !== null) told.push(["took", `${(1000 * row.seconds).toFixed(1)} ms`]);
  return told;
}

const beside = (by) => enlarge(shown[shown.indexOf(current) + by]);
byId("previous").addEventListener("click", () => beside(-1));
byId("next").addEventListener("click", () => beside(1));
byId("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowLeft") beside(-1);
  if (event.key === "ArrowRight") beside(1);
});
dialog.addEventListener("close", () => {
  const element = bringUp(current);
  if (!element) return;
  element.querySelector(".label").focus({ preventScroll: true });
  const slider = element.querySelector("input");
  if (slider) setShare(slider.parentElement, current.share ?? shareOfAll);
});
