// What a picture looks like: itself under its map with a slider between them, and a caption.

let shareOfAll = 100; // of the picture's width that its map covers, unless a row has its own

function setShare(box, share) {
  box.style.setProperty("--share", `${share}%`);
  const slider = box.querySelector("input");
  slider.value = share;
  slider.setAttribute("aria-valuetext", `${share}% overlay`);
}

function picture(row, map, large = false) {
  const box = make("div", { class: "compare" });
  box.style.setProperty("--width", row.shape[0]);
  box.style.setProperty("--height", row.shape[1]);
  const whole = { decoding: "async", draggable: "false" };
  if (row.picture) {
    const under = make("img", { ...whole, src: `${plan.data}/${row.picture}`, alt: row.name });
    box.append(under);
    if (large && row.original) sharpen(under, row.original);
  }
  if (!map.file) return box;
  const name = `Map of ${map.label}${row.picture ? ` on ${row.name}` : ", without the picture"}`;
  if (large && row.picture && map.cells) box.append(make("div", { class: "over", role: "img", "aria-label": name }, heat(row, map)));
  else box.append(make("img", { ...whole, class: "over", src: `${plan.data}/${map.file}`, alt: name }));
  if (!row.picture) return box;
  const slider = make("input", { type: "range", min: 0, max: 100, "aria-label": `Overlay on ${row.name}` });
  slider.addEventListener("input", () => setShare(box, (row.share = Number(slider.value))));
  box.append(slider, make("span", { class: "edge", "aria-hidden": "true" }));
  setShare(box, row.share ?? shareOfAll);
  return box;
}

function sharpen(small, address) { // the picture's own file, where it is still there
  const full = new Image();
  full.onload = () => (small.src = full.src);
  full.src = address;
}

function card(row, enlarge) {
  const element = make("div", { role: "listitem", class: "card" });
  const label = row.error === undefined ? row.top[0][0] : "Not explained";
  const button = make("button", { type: "button", class: "label", "aria-label": `${label}, ${row.name}: enlarge` }, label);
  button.addEventListener("click", () => enlarge(row));
  const stage = make("div", { class: "stage" });
  stage.append(row.error === undefined ? picture(row, row.maps[0]) : make("p", { class: "error" }, row.error));
  stage.addEventListener("dblclick", () => enlarge(row));
  element.append(stage, make("div", { class: "line" }, button, make("span", {}, row.error === undefined ? percent(row.sure) : "")));
  element.append(make("div", { class: "file", title: row.path }, row.name), marks(row));
  return element;
}

function marks(row) {
  const line = make("div", { class: "marks" });
  if (row.error !== undefined) return line;
  if (row.entropy !== null) line.append(make("span", { title: "How spread out the map is, 0 to 1" }, `entropy ${row.entropy.toFixed(2)}`));
  else line.append(make("span", { class: "mark" }, "no finite map"));
  if (row.flat) line.append(make("span", { class: "mark" }, "flat map"));
  if (row.gone) line.append(make("span", { class: "mark", title: row.gone }, "no picture"));
  if (row.maps[0].label !== row.top[0][0]) line.append(make("span", { title: "The class that the map explains" }, `map: ${row.maps[0].label}`));
  return line;
}
