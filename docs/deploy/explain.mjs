// Predict and explain a picture with a file that `onnx-reciprocam rewrite` wrote, in Node.js.
//
//   npm install onnxruntime-node
//   node explain.mjs explained.onnx photo.ppm heat.pgm
//
// The picture is a binary PPM (raw RGB with a line of header) of the input's own size, which any tool writes:
//   convert photo.jpg -resize 224x224^ -gravity center -extent 224x224 photo.ppm

import { readFileSync, writeFileSync } from "node:fs";
import ort from "onnxruntime-node";

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 1 / 255, color: "rgb", layout: null };

/** The metadata of an .onnx file: onnxruntime's JavaScript interface does not hand it out, but field 14 of the file has it. */
function metadata(bytes) {
  const fields = function* (start, end) {
    const varint = () => {
      let value = 0, scale = 1, byte;
      do {
        byte = bytes[start++];
        value += (byte & 127) * scale;
        scale *= 128;
      } while (byte > 127);
      return value;
    };
    while (start < end) {
      const tag = varint();
      const kind = tag & 7;
      if (kind === 0) varint();
      else if (kind === 2) {
        const length = varint();
        yield [Math.floor(tag / 8), start, start + length];
        start += length;
      } else start += kind === 1 ? 8 : 4;
    }
  };
  const entries = {};
  for (const [field, from, to] of fields(0, bytes.length)) {
    if (field !== 14) continue;
    const [key, value] = [...fields(from, to)].map(([, a, b]) => bytes.toString("utf8", a, b));
    entries[key] = value ?? "";
  }
  return entries;
}

/** Width, height and pixels of a binary PPM. */
function readPpm(path) {
  const bytes = readFileSync(path);
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 64));
  if (!header) throw new Error(`${path} is no binary PPM of 8 bits`);
  return { width: +header[1], height: +header[2], pixels: bytes.subarray(header[0].length) };
}

/** (pixel * scale - mean) / std per channel, laid out as the network wants it. */
function prepare({ width, height, pixels }, how, nchw) {
  const gray = how.color === "gray";
  const order = how.color === "bgr" ? [2, 1, 0] : [0, 1, 2];
  const channels = gray ? 1 : 3;
  const values = new Float32Array(channels * height * width);
  for (let cell = 0; cell < height * width; cell++) {
    const [r, g, b] = pixels.subarray(3 * cell, 3 * cell + 3);
    for (let c = 0; c < channels; c++) {
      const pixel = gray ? Math.round(0.299 * r + 0.587 * g + 0.114 * b) : [r, g, b][order[c]];
      const value = (pixel * how.scale - (how.mean[c] ?? how.mean[0])) / (how.std[c] ?? how.std[0]);
      values[nchw ? c * height * width + cell : cell * channels + c] = value;
    }
  }
  return new ort.Tensor("float32", values, nchw ? [1, channels, height, width] : [1, height, width, channels]);
}

/** Of one image's scores; the file says what made them. */
function probabilities(scores, activation) {
  if (activation === "softmax" || activation === "sigmoid") return scores;
  if (scores.length === 1) return [1 / (1 + Math.exp(-scores[0]))];
  const top = Math.max(...scores);
  const raised = scores.map((score) => Math.exp(score - top));
  const sum = raised.reduce((a, b) => a + b);
  return raised.map((value) => value / sum);
}

const [model, photo, heat] = process.argv.slice(2);

// 1. What the file says of itself.
const told = metadata(readFileSync(model));
const inputs = JSON.parse(told["reciprocam.inputs"]);
const outputs = JSON.parse(told["reciprocam.outputs"]);
const labels = JSON.parse(told["reciprocam.labels"] ?? "[]");
const how = { ...IMAGENET, ...JSON.parse(told["reciprocam.preprocessing"] ?? "{}") };

// 2. The picture as the input.
const session = await ort.InferenceSession.create(model);
const shape = session.inputMetadata.find(({ name }) => name === inputs.image).shape;
const nchw = how.layout ? how.layout === "nchw" : shape[1] === 1 || shape[1] === 3;
const input = prepare(readPpm(photo), how, nchw);

// 3. One run: scores, maps [B, K, H, W] and, unless every class has a map, the class of each map [B, K].
const result = await session.run({ [inputs.image]: input }, Object.values(outputs));
const shares = probabilities([...result[outputs.score].data], told["reciprocam.activation"] ?? "none");
const ranked = shares.map((share, index) => [share, index]).sort((a, b) => b[0] - a[0]);
for (const [share, index] of ranked.slice(0, 3)) console.log(`${labels[index] ?? index}\t${share.toFixed(4)}`);

const maps = result[outputs.saliency];
const [height, width] = maps.dims.slice(2);
const classes = result[outputs.saliency_classes];
const explained = classes ? Number(classes.data[0]) : ranked[0][1];
const first = classes ? 0 : explained * height * width;
const cells = maps.data.subarray(first, first + height * width);
console.log(`map of ${labels[explained] ?? explained}, ${height}x${width}:`);
for (let row = 0; row < height; row++) {
  console.log([...cells.subarray(row * width, (row + 1) * width)].map((value) => value.toFixed(3)).join(" "));
}

// 4. The map as a grey picture, a pixel per cell.
const [low, high] = [Math.min(...cells), Math.max(...cells)];
const grey = Uint8Array.from(cells, (value) => (255 * (value - low)) / (high - low || 1));
writeFileSync(heat, Buffer.concat([Buffer.from(`P5 ${width} ${height} 255\n`), grey]));
