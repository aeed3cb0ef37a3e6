/**
 * OpenCV's resizing of 8-bit pictures, to the level: INTER_AREA where a side shrinks, INTER_LINEAR where it grows.
 *
 * A picture here is `{ data, height, width, step }`: bytes, `step` of them per pixel, the first three red, green, blue.
 */

const COLORS = 3;
const FRACTION = 2048; // of the whole-number weights that OpenCV enlarges with

/** Shrink whichever side is too long, then enlarge whichever is too short. */
export function resize(picture, height, width) {
  return enlarge(shrink(picture, Math.min(height, picture.height), Math.min(width, picture.width)), height, width);
}

/** To the nearest whole number, from the middle to the even one. */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** Each pixel the mean of the area that it covers. */
function shrink(picture, height, width) {
  if (height === picture.height && width === picture.width) return picture;
  const rows = shares(picture.height, height);
  const columns = shares(picture.width, width);
  const row = new Float32Array(width * COLORS);
  const sum = new Float32Array(width * COLORS);
  const data = new Uint8Array(height * width * COLORS);
  // OpenCV takes fours of pixels in whole numbers, whose halves go up.
  const round = picture.height === 2 * height && picture.width === 2 * width ? halfUp : roundHalfEven;
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    for (let k = 0; k < rows.count[y]; k++) {
      shrinkRow(picture, rows.start[y] + k, columns, row);
      const share = rows.weights[rows.offset[y] + k];
      for (let i = 0; i < sum.length; i++) sum[i] += share * row[i];
    }
    for (let i = 0; i < sum.length; i++) data[y * sum.length + i] = round(sum[i]);
  }
  return { data, height, width, step: COLORS };
}

function halfUp(value) {
  return Math.floor(value + 0.5);
}

function shrinkRow({ data, width, step }, y, { start, count, offset, weights }, row) {
  for (let x = 0, i = 0; x < start.length; x++, i += COLORS) {
    let red = 0;
    let green = 0;
    let blue = 0;
    let at = (y * width + start[x]) * step;
    for (let k = offset[x]; k < offset[x] + count[x]; k++, at += step) {
      red += weights[k] * data[at];
      green += weights[k] * data[at + 1];
      blue += weights[k] * data[at + 2];
    }
    row[i] = red;
    row[i + 1] = green;
    row[i + 2] = blue;
  }
}

/** Which pixels of a side of `from` each of `to` pixels covers, and with what share; slivers below a thousandth are none. */
function shares(from, to) {
  const scale = from / to;
  const [start, count, offset, weights] = [new Int32Array(to), new Int32Array(to), new Int32Array(to), []];
  for (let i = 0; i < to; i++) {
    const [begin, end] = [i * scale, i * scale + scale];
    const covered = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(begin), last);
    const before = first - begin > 1e-3;
    start[i] = first - before;
    offset[i] = weights.length;
    if (before) weights.push((first - begin) / covered);
    for (let k = first; k < last; k++) weights.push(1 / covered);
    if (end - last > 1e-3) weights.push(Math.min(end - last, 1, covered) / covered);
    count[i] = weights.length - offset[i];
  }
  return { start, count, offset, weights: Float32Array.from(weights) };
}

/** Bilinear with half-pixel centres, in OpenCV's whole numbers. */
function enlarge(picture, height, width) {
  if (height === picture.height && width === picture.width) return picture;
  const rows = neighbours(picture.height, height);
  const columns = neighbours(picture.width, width);
  const lines = Array.from({ length: picture.height }, (_, y) => enlargeRow(picture, y, columns));
  const length = width * COLORS;
  const data = new Uint8Array(height * length);
  for (let y = 0; y < height; y++) {
    const [upper, lower] = [lines[rows.first[y]], lines[rows.second[y]]];
    const below = rows.weight[y];
    const above = FRACTION - below;
    for (let i = 0; i < length; i++) {
      data[y * length + i] = (((above * (upper[i] >> 4)) >> 16) + ((below * (lower[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return { data, height, width, step: COLORS };
}

function enlargeRow({ data, width, step }, y, { first, second, weight }) {
  const line = new Int32Array(first.length * COLORS);
  for (let x = 0; x < first.length; x++) {
    const [left, right] = [(y * width + first[x]) * step, (y * width + second[x]) * step];
    for (let c = 0; c < COLORS; c++) {
      line[x * COLORS + c] = data[left + c] * (FRACTION - weight[x]) + data[right + c] * weight[x];
    }
  }
  return line;
}

/** The two pixels of a side of `from` between which each of `to` pixels lies, and the second's weight. */
function neighbours(from, to) {
  const [first, second, weight] = [new Int32Array(to), new Int32Array(to), new Int32Array(to)];
  for (let i = 0; i < to; i++) {
    const place = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    first[i] = Math.floor(place);
    second[i] = Math.min(first[i] + 1, from - 1);
    weight[i] = roundHalfEven((place - first[i]) * FRACTION);
  }
  return { first, second, weight };
}
