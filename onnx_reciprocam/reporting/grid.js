// The gallery: as tall as all its cards, though only those near the window are there.

const gallery = byId("gallery");
const present = new Map(); // row to its card
let shown = [];
let columns = 1, side = 0, step = 0, gap = 0, width = 0;
const CAPTION = 4.5; // rem: the three lines below a picture
const AHEAD = 2; // lines of cards above and below the window

function measure() {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  width = gallery.clientWidth;
  gap = rem * (width < 30 * rem ? 0.5 : 0.75);
  columns = Math.max(width < 20 * rem ? 1 : 2, Math.floor((width + gap) / (13.5 * rem + gap)));
  side = (width - gap * (columns - 1)) / columns;
  step = side + CAPTION * rem + gap;
  gallery.style.setProperty("--side", `${side}px`);
}

function nearby() {
  const top = -gallery.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / step) - AHEAD) * columns;
  const last = Math.min(shown.length, (Math.ceil((top + window.innerHeight) / step) + AHEAD) * columns);
  const places = new Set();
  for (let place = first; place < last; place++) places.add(place);
  return places;
}

function place() {
  const places = nearby();
  const focused = document.activeElement.closest(".card");
  if (focused && shown[focused.place] === focused.row) { // or the keyboard would lose its place, or outrun the cards
    const reach = AHEAD * columns;
    const last = Math.min(shown.length - 1, focused.place + reach);
    for (let at = Math.max(0, focused.place - reach); at <= last; at++) places.add(at);
  }
  const wanted = new Set([...places].map((at) => shown[at]));
  for (const [row, element] of present) {
    if (wanted.has(row)) continue;
    element.remove();
    present.delete(row);
  }
  let next = gallery.firstChild;
  for (const at of [...places].sort((a, b) => a - b)) {
    const element = settled(shown[at], at);
    if (element === next) next = next.nextSibling;
    else gallery.insertBefore(element, next);
  }
}

function settled(row, at) {
  let element = present.get(row);
  if (!element) {
    element = card(row, (each) => enlarge(each));
    element.row = row;
    present.set(row, element);
  }
  element.place = at;
  element.setAttribute("aria-posinset", at + 1);
  element.setAttribute("aria-setsize", shown.length);
  element.style.translate = `${(at % columns) * (side + gap)}px ${Math.floor(at / columns) * step}px`;
  return element;
}

function showRows(list) {
  shown = list;
  gallery.style.height = `${Math.ceil(shown.length / columns) * step}px`;
  place();
}

function bringUp(row) { // its card, in the window
  const at = shown.indexOf(row);
  if (at < 0) return null;
  const top = gallery.getBoundingClientRect().top + Math.floor(at / columns) * step;
  const bars = parseFloat(getComputedStyle(gallery).scrollMarginTop);
  if (top < bars || top + step > window.innerHeight) window.scrollBy(0, top - bars);
  place();
  return present.get(row);
}

let asked = false;
function placeSoon() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    place();
  });
}
gallery.addEventListener("focusin", place);
addEventListener("scroll", placeSoon, { passive: true });
addEventListener("resize", placeSoon);
new ResizeObserver(() => {
  if (gallery.clientWidth === width) return;
  measure();
  showRows(shown);
}).observe(gallery);
measure();
