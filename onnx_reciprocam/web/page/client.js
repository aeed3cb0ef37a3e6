/** The page's end of worker.js: one call at a time, each a promise. */

export class Client {
  constructor() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.call = null;
    this.worker.addEventListener("message", ({ data }) => this.#hear(data));
    this.worker.addEventListener("error", (event) => this.#hear({ kind: "failed", reason: event.message || "its program does not start." }));
  }

  /** Load the model; how many threads run it. */
  load(config, progress) {
    return this.#ask({ kind: "load", config }, progress);
  }

  /** Explain a picture, `{ data, height, width, step }`, or with null the one before, for other classes. */
  explain(picture, wanted) {
    return this.#ask({ kind: "explain", picture, wanted }, null, picture ? [picture.data.buffer] : []);
  }

  #ask(message, progress = null, moved = []) {
    return new Promise((resolve, reject) => {
      this.call = { resolve, reject, progress };
      this.worker.postMessage(message, moved);
    });
  }

  #hear({ kind, value, share, reason }) {
    if (kind === "progress") this.call?.progress?.(share);
    if (kind === "done") this.call?.resolve(value);
    if (kind === "failed") this.call?.reject(new Error(reason));
  }
}
