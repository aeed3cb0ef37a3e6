/** What the page shows, and where. */

import { paint, readPalette, whereabouts } from "./heat.js";

const LONGEST = 1600; // pixels of the longer side that are drawn; a screen shows no more
const NUMBER = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

const byId = (id) => document.getElementById(id);

export class View {
  constructor(config) {
    this.config = config;
    this.palette = readPalette(config.palette);
    this.size = null;
    const stops = this.palette.filter((_, i) => i % 15 === 0).map((color) => `rgb(${color})`);
    byId("bar").style.background = `linear-gradient(to right, ${stops})`;
  }

  progress(share) {
    const megabytes = [this.config.model, ...this.config.model.data].reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
    byId("progress-label").textContent = share < 1 ? `Loading the model, ${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB` : "Preparing the model";
    if (share < 1) byId("progress").value = share;
    else byId("progress").removeAttribute("value");
  }

  loaded() {
    byId("loading").hidden = true;
  }

  say(text) {
    if (byId("status").textContent !== text) byId("status").textContent = text;
  }

  /** An error; an empty one takes the last away. */
  fail(text) {
    byId("error").textContent = text;
  }

  /** Draw a picture, a bitmap or a video, as large as a screen needs it. */
  picture(source, height, width) {
    const scale = Math.min(1, LONGEST / Math.max(height, width));
    const canvas = byId("picture");
    const [tall, wide] = [height, width].map((side) => Math.max(1, Math.round(side * scale)));
    if (canvas.height !== tall || canvas.width !== wide) Object.assign(canvas, { height: tall, width: wide });
    const context = canvas.getContext("2d");
    context.fillStyle = "white"; // behind what is transparent, as the network sees it
    context.fillRect(0, 0, wide, tall);
    context.drawImage(source, 0, 0, wide, tall);
    byId("shown").style.setProperty("--ratio", width / height);
    this.size = [height, width];
    byId("empty").hidden = true;
    byId("shown").hidden = false;
  }

  /** A picture without its map yet. */
  waiting(text) {
    byId("heat").hidden = true;
    byId("seen").hidden = true;
    byId("shown").setAttribute("aria-label", "Your picture, not explained yet");
    this.say(text);
  }

  /** Rows of classes and the map of the explained one. */
  result(rows, { grid, region, milliseconds }, threads, free) {
    const explained = rows.find((row) => row.explained);
    this.#heat(explained, grid, region);
    this.#list(rows);
    byId("results").hidden = false;
    byId("other").hidden = !free;
    if (free) byId("class").value = explained ? explained.classId : "";
    byId("facts").textContent = `${Math.round(milliseconds)} ms on ${threads === 1 ? "one thread" : `${threads} threads`} of this device; method: ${this.config.method}.`;
  }

  /** What there is to hear of a result. */
  summary(rows, grid) {
    const { label, chance } = rows[0];
    const explained = rows.find((row) => row.explained);
    const place = explained?.map ? whereabouts(explained.map, grid) : null;
    const whose = explained && explained !== rows[0] ? ` of ${explained.label}` : "";
    const where = place === null ? "The map is the same everywhere." : `The heat map${whose} is strongest at ${place}.`;
    return `${label}, ${NUMBER.format(chance)}. ${where}`;
  }

  /** All classes to choose from. */
  classes(labels) {
    byId("class").append(...labels.map((label, i) => new Option(label, i)));
  }

  opacity() {
    const value = byId("opacity").value;
    byId("heat").style.opacity = value / 100;
    byId("percent").textContent = `${value}%`;
    byId("opacity").setAttribute("aria-valuetext", `${value} percent`);
  }

  #heat(explained, grid, region) {
    const [height, width] = this.size;
    const seen = byId("seen");
    const shares = { top: region.top / height, left: region.left / width, height: region.height / height, width: region.width / width };
    for (const [side, share] of Object.entries(shares)) seen.style[side] = `${100 * share}%`;
    const canvas = byId("heat");
    canvas.hidden = !explained?.map;
    seen.hidden = false;
    if (!explained?.map) return;
    paint(canvas, explained.map, grid, region, this.palette);
    const place = whereabouts(explained.map, grid);
    byId("shown").setAttribute("aria-label", `Your picture with the heat map of ${explained.label}${place ? `, strongest at ${place}` : ", the same everywhere"}`);
  }

  /** Rows are changed in place, so that the focus stays where it is while a camera runs. */
  #list(rows) {
    const list = byId("rows");
    const choices = rows.filter((row) => row.map).length > 1;
    byId("legend").textContent = choices ? "Classes; choose one to explain" : "What the network sees";
    const focused = list.contains(document.activeElement);
    while (list.children.length > rows.length) list.lastElementChild.remove();
    rows.forEach((row, i) => {
      const choice = choices && row.map !== null;
      let item = list.children[i];
      if (item?.dataset.choice !== String(choice)) {
        const made = makeRow(choice);
        if (item) item.replaceWith(made);
        else list.append(made);
        item = made;
      }
      fillRow(item, row);
    });
    if (focused) list.querySelector("input:checked")?.focus();
  }
}

function makeRow(choice) {
  const item = document.createElement("li");
  item.dataset.choice = choice;
  const row = document.createElement(choice ? "label" : "div");
  row.className = "row";
  if (choice) row.append(Object.assign(document.createElement("input"), { type: "radio", name: "explained" }));
  for (const part of ["name", "share"]) row.append(Object.assign(document.createElement("span"), { className: part }));
  const track = Object.assign(document.createElement("span"), { className: "track" });
  track.setAttribute("aria-hidden", "true");
  track.append(document.createElement("i"));
  row.append(track);
  item.append(row);
  return item;
}

function fillRow(item, { classId, label, chance, explained }) {
  const row = item.firstElementChild;
  row.classList.toggle("explained", explained);
  row.querySelector(".name").textContent = label;
  row.querySelector(".share").textContent = NUMBER.format(chance);
  row.querySelector(".track i").style.width = `${100 * chance}%`;
  const radio = row.querySelector("input");
  if (radio) Object.assign(radio, { value: classId, checked: explained });
  else if (explained) row.setAttribute("aria-current", "true");
  else row.removeAttribute("aria-current");
}
