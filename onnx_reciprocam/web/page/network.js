/** The explained model in onnxruntime's WebAssembly: pixels in, scores and maps out, in one run. */

import * as ort from "./onnxruntime/ort.wasm.min.mjs";
import { prepare } from "./preprocess.js";

const MOST_THREADS = 4;
const ERRORS_ONLY = 3; // onnxruntime's warnings on a file's spare weights help nobody here

const ARRAYS = {
  float32: Float32Array,
  float16: globalThis.Float16Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
};

const LACKING = (type) => `This browser has no numbers of type ${type}, which the model needs.`;

export class Network {
  /**
   * @param config config.json.
   * @param progress Called with a share of the download in [0, 1].
   */
  static async load(config, progress) {
    if (!ARRAYS[config.input.type]) throw new Error(LACKING(config.input.type));
    ort.env.wasm.wasmPaths = new URL("onnxruntime/", import.meta.url).href;
    // Threads share memory, which browsers allow to pages that are isolated from other origins.
    ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
    const { url, bytes, data } = config.model;
    const total = data.reduce((sum, file) => sum + file.bytes, bytes);
    let got = 0;
    const fetched = (address) => download(address, (more) => progress((got += more) / total));
    const model = await fetched(url);
    const externalData = [];
    for (const file of data) externalData.push({ path: file.path, data: await fetched(file.url) });
    const options = { executionProviders: ["wasm"], externalData, logSeverityLevel: ERRORS_ONLY };
    const session = await ort.InferenceSession.create(model, options);
    return new Network(config, session);
  }

  constructor(config, session) {
    this.config = config;
    this.session = session;
    this.threads = ort.env.wasm.numThreads;
    this.prepared = null;
  }

  /** Take a picture, `{ data, height, width, step }`, to explain from now on. */
  show(picture) {
    this.prepared = prepare(picture, this.config.preprocessing);
  }

  /**
   * Run on the picture, with maps of the classes `wanted` where the file asks which.
   *
   * @returns `scores` of all classes; `maps`, `[{ classId, values }]`, each of `grid` rows and columns; `region`.
   */
  async explain(wanted) {
    const { input, class_ids: idsName, outputs } = this.config;
    const { values, shape, region } = this.prepared;
    const feeds = { [input.name]: new ort.Tensor(input.type, ARRAYS[input.type].from(values), shape) };
    if (idsName) feeds[idsName] = new ort.Tensor("int64", BigInt64Array.from(wanted, BigInt), [1, wanted.length]);
    const start = performance.now();
    const found = await this.session.run(feeds, Object.values(outputs).filter(Boolean));
    const milliseconds = performance.now() - start;
    const scores = numbers(found[outputs.score]);
    const [, count, height, width] = found[outputs.saliency].dims;
    const classes = outputs.classes ? Array.from(found[outputs.classes].data, Number) : [...scores.keys()];
    const cells = found[outputs.saliency].data;
    const maps = classes.slice(0, count).map((classId, i) => ({ classId, values: cells.slice(i * height * width, (i + 1) * height * width) }));
    return { scores, maps, grid: [height, width], region, milliseconds };
  }
}

/** Scores in double precision. */
function numbers({ data, type }) {
  if (type === "float16" && !ARRAYS.float16) throw new Error(LACKING("float16"));
  const scores = Float64Array.from(data, Number);
  if (scores.some(Number.isNaN)) throw new Error("The network's scores of this picture are no numbers.");
  return scores;
}

/** A file's bytes; `progress` hears of every part. */
async function download(address, progress) {
  // The server is asked whether a copy that the browser keeps is still right.
  const response = await fetch(new URL(address, import.meta.url), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${address} is not there (${response.status} ${response.statusText}).`);
  const parts = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    progress(value.length);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
