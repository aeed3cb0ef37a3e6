// Runs models in onnxruntime-node or onnxruntime-web: a line of JSON in on stdin, a line of JSON out on stdout.
//
//     node answer_runs.mjs onnxruntime-web
//     {"model": "/path.onnx", "feeds": {"image": {"type": "float32", "dims": [1, 3, 8, 8], "data": "base64"}}, "outputs": ["scores"]}
//     {"outputs": {"scores": {"type": "float32", "dims": [1, 5], "data": "base64"}}}   or   {"error": "why not"}
//
// "written": true runs the nodes as the file has them, without optimisations.

import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

const ort = await import(process.argv[2]);
const ARRAYS = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array };

if (process.argv[2] === "onnxruntime-web") {
  ort.env.wasm.numThreads = 1; // workers would keep Node alive when stdin ends
  ort.env.logLevel = "error";
}

function tensor({ type, dims, data }) {
  const bytes = new Uint8Array(Buffer.from(data, "base64")); // a copy, aligned
  return new ort.Tensor(type, new ARRAYS[type](bytes.buffer), dims);
}

function plain({ type, dims, data }) {
  return { type, dims, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
}

function each(entries, change) {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, change(value)]));
}

async function run({ model, feeds, outputs, written }) {
  const session = await ort.InferenceSession.create(await readFile(model), {
    executionProviders: [process.argv[2] === "onnxruntime-web" ? "wasm" : "cpu"],
    graphOptimizationLevel: written ? "disabled" : "all",
    logSeverityLevel: 4,
  });
  try {
    return { outputs: each(await session.run(each(feeds, tensor), outputs), plain) };
  } finally {
    await session.release();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line)).catch((error) => ({ error: String(error.message ?? error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
