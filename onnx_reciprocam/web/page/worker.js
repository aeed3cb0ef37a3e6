/** Runs the network beside the page, so that the page answers while it works. Messages: client.js. */

import { Network } from "./network.js";

let network = null;

const answers = {
  async load({ config }) {
    network = await Network.load(config, (share) => postMessage({ kind: "progress", share }));
    return { threads: network.threads };
  },
  async explain({ picture, wanted }) {
    if (picture) network.show(picture);
    return network.explain(wanted);
  },
};

addEventListener("message", async ({ data: message }) => {
  try {
    postMessage({ kind: "done", value: await answers[message.kind](message) });
  } catch (error) {
    postMessage({ kind: "failed", reason: error?.message || String(error) });
  }
});
