// A map as a picture of any size, as the small ones on disk are drawn: colour in proportion to the cell.

const HEAT_SIDE = 384; // pixels of the longer side
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const colors = bytes(plan.colors);

function heat(row, map) {
  const cells = bytes(map.cells);
  const [down, across] = [cells.length / map.columns, map.columns];
  const [height, width] = [row.seen[2] * row.shape[1], row.seen[3] * row.shape[0]];
  const scale = HEAT_SIDE / Math.max(height, width);
  const canvas = make("canvas", { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) });
  const pencil = canvas.getContext("2d");
  const image = pencil.createImageData(canvas.width, canvas.height);
  const columns = between(canvas.width, across);
  const lines = between(canvas.height, down);
  let at = 0;
  for (const [y, below, v] of lines) {
    for (const [x, right, u] of columns) {
      const above = cells[y * across + x] * (1 - u) + cells[y * across + right] * u;
      const level = above * (1 - v) + (cells[below * across + x] * (1 - u) + cells[below * across + right] * u) * v;
      const color = 3 * Math.round(level);
      image.data.set([colors[color], colors[color + 1], colors[color + 2], plan.alpha * level], at);
      at += 4;
    }
  }
  pencil.putImageData(image, 0, 0);
  ["top", "left", "height", "width"].forEach((side, place) => (canvas.style[side] = `${100 * row.seen[place]}%`));
  return canvas;
}

function between(pixels, cells) { // for each pixel the two cells around its centre, and how far it is to the second
  return Array.from({ length: pixels }, (_, pixel) => {
    const place = Math.min(Math.max(((pixel + 0.5) * cells) / pixels - 0.5, 0), cells - 1);
    const first = Math.floor(place);
    return [first, Math.min(first + 1, cells - 1), place - first];
  });
}
