/** A saliency map as colours, as onnx_reciprocam/visualise.py paints it. */

const SIDE = 320; // pixels of the longer side; the browser enlarges further

/** The palette of config.json, 256 colours, as `[r, g, b]` each. */
export function readPalette(hex) {
  return Array.from({ length: 256 }, (_, i) => [0, 2, 4].map((at) => parseInt(hex.substr(6 * i + at, 2), 16)));
}

/** `values` scaled to [0, 1]; all zeros where they are all the same. */
export function rescale(values) {
  if (!values.every(Number.isFinite)) throw new Error("The map has numbers that are none, so there is nothing to draw.");
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  return Float32Array.from(values, (value) => (value - low) / (high - low || 1));
}

/** Paint a map onto a canvas of its region's shape: colour by value, opacity in proportion to it. */
export function paint(canvas, values, [rows, columns], region, palette) {
  const scale = SIDE / Math.max(region.height, region.width);
  const [height, width] = [region.height, region.width].map((side) => Math.max(1, Math.round(side * scale)));
  Object.assign(canvas, { height, width });
  const heat = enlarge(rescale(values), rows, columns, height, width);
  const pixels = new ImageData(width, height);
  for (let i = 0; i < heat.length; i++) {
    const [red, green, blue] = palette[Math.round(heat[i] * 255)];
    pixels.data.set([red, green, blue, Math.round(heat[i] * 255)], 4 * i);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** Bilinear with half-pixel centres: corner cells reach the corners. */
function enlarge(values, rows, columns, height, width) {
  const [down, across] = [places(rows, height), places(columns, width)];
  const heat = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const [top, bottom, v] = down[y];
    for (let x = 0; x < width; x++) {
      const [left, right, u] = across[x];
      const above = values[top * columns + left] * (1 - u) + values[top * columns + right] * u;
      const below = values[bottom * columns + left] * (1 - u) + values[bottom * columns + right] * u;
      heat[y * width + x] = above * (1 - v) + below * v;
    }
  }
  return heat;
}

function places(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const first = Math.floor(place);
    return [first, Math.min(first + 1, from - 1), place - first];
  });
}

/** Where on the picture the largest value is, in words; null for a map that is the same everywhere. */
export function whereabouts(values, [rows, columns]) {
  const most = values.indexOf(values.reduce((a, b) => Math.max(a, b)));
  if (values.every((value) => value === values[most])) return null;
  const third = (place, count, names) => names[Math.min(2, Math.floor((3 * (place + 0.5)) / count))];
  const down = third(Math.floor(most / columns), rows, ["top", "", "bottom"]);
  const across = third(most % columns, columns, ["left", "", "right"]);
  return `the ${`${down} ${across}`.trim() || "centre"}`;
}
