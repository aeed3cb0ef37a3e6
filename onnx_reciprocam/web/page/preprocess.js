/** From a picture to the network's input, step by step as onnx_reciprocam/runtime/preprocess.py does it. */

import { resize, roundHalfEven } from "./resize.js";

const PLACES = { rgb: [0, 1, 2], bgr: [2, 1, 0], gray: [0] };

/**
 * One picture as a batch of one.
 *
 * @param picture `{ data, height, width, step }`, as resize.js has it.
 * @param how `preprocessing` of config.json.
 * @returns `values`: float32, in the order of `shape`; `region`: the part of the picture that the network sees.
 */
export function prepare(picture, how) {
  const { cut, region } = fit(picture, how);
  const seen = how.color === "gray" ? gray(cut) : cut;
  const [height, width] = how.size;
  const places = PLACES[how.color];
  const [pixels, depth] = [height * width, places.length];
  const [inPixel, inChannel] = how.layout === "nchw" ? [1, pixels] : [depth, 1];
  const values = new Float32Array(pixels * depth);
  places.forEach((place, channel) => {
    const level = levels(how, channel);
    for (let i = 0; i < pixels; i++) values[i * inPixel + channel * inChannel] = level[seen.data[i * seen.step + place]];
  });
  return { values, shape: how.layout === "nchw" ? [1, depth, height, width] : [1, height, width, depth], region };
}

/** Stretch to `size`; or resize so that `size / crop` is covered, and cut out the centre. */
function fit(picture, { size: [height, width], crop }) {
  if (crop === null) {
    return { cut: resize(picture, height, width), region: { top: 0, left: 0, height: picture.height, width: picture.width } };
  }
  // Where crop was written with a few digits, 227 / 0.886719 falls a hair short of 256, the whole number that is meant;
  // so may a product such as 3 * (256 / 3).
  const cover = (side, own) => Math.trunc(side / crop + 1e-3) / own;
  const scale = Math.max(cover(height, picture.height), cover(width, picture.width));
  const [tall, wide] = [picture.height, picture.width].map((side) => Math.trunc(side * scale + 1e-6));
  const [top, left] = [roundHalfEven((tall - height) / 2), roundHalfEven((wide - width) / 2)];
  const [down, across] = [picture.height / tall, picture.width / wide];
  const region = { top: top * down, left: left * across, height: height * down, width: width * across };
  return { cut: part(resize(picture, tall, wide), top, left, height, width), region };
}

function part({ data: all, width: stride, step }, top, left, height, width) {
  const data = new Uint8Array(height * width * step);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * stride + left) * step;
    data.set(all.subarray(from, from + width * step), y * width * step);
  }
  return { data, height, width, step };
}

/** One byte per pixel, weighed as OpenCV does. */
function gray({ data: colors, height, width, step }) {
  const data = new Uint8Array(height * width);
  for (let i = 0, at = 0; i < data.length; i++, at += step) {
    data[i] = (9798 * colors[at] + 19235 * colors[at + 1] + 3735 * colors[at + 2] + 16384) >> 15;
  }
  return { data, height, width, step: 1 };
}

/** `(level * scale - mean) / std` of all 256 levels, in float32 and rounded after every step as numpy does. */
function levels({ mean, std, scale }, channel) {
  const factor = Math.fround(scale);
  const [shift, spread] = [mean, std].map((numbers) => Math.fround(numbers[numbers.length === 1 ? 0 : channel]));
  const table = new Float32Array(256);
  for (let level = 0; level < 256; level++) table[level] = Math.fround(Math.fround(level * factor) - shift) / spread;
  return table;
}
