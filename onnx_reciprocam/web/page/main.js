/**
 * The page: pictures from a file, a drop, the clipboard or the camera go to the network; classes and heat map come back.
 *
 * Every explanation is also an event of the document, `explained`, whose `detail` has scores, chances, maps, grid, region.
 */

import { Camera } from "./camera.js";
import { Client } from "./client.js";
import { Explainer } from "./explainer.js";
import { decode, pixels } from "./picture.js";
import { View } from "./view.js";

const QUIET = 3000; // milliseconds between two spoken results of the camera

const byId = (id) => document.getElementById(id);

class Page {
  constructor(config) {
    this.view = new View(config);
    this.client = new Client();
    this.explainer = new Explainer(config, this.client);
    this.camera = new Camera();
    this.threads = 0;
    this.found = null; // the last explanation
    this.newest = 0; // pictures that came so far; older ones that still wait are dropped
    this.spoken = -Infinity; // when a result was last said
    this.ready = this.#load(config);
    this.ready.catch((error) => this.#refuse(error));
    this.turn = this.ready; // one run at a time
  }

  async #load(config) {
    this.view.progress(0);
    try {
      ({ threads: this.threads } = await this.client.load(config, (share) => this.view.progress(share)));
      this.view.say("Ready for a picture.");
    } catch (error) {
      throw new Error(`The model did not load: ${error.message} Reload the page to try again.`);
    } finally {
      this.view.loaded();
    }
  }

  /** Explain a picture file. */
  async open(file) {
    this.stopCamera();
    const ticket = ++this.newest;
    try {
      const bitmap = await decode(file);
      if (ticket !== this.newest) return;
      this.view.fail("");
      this.explainer.chosen = null;
      this.found = null;
      this.view.picture(bitmap, bitmap.height, bitmap.width);
      this.view.waiting("Looking at the picture …");
      await this.#inTurn(ticket, () => this.#explain(pixels(bitmap, bitmap.height, bitmap.width)));
      if (ticket === this.newest) this.#speak();
    } catch (error) {
      if (ticket === this.newest) this.#refuse(error);
    }
  }

  async startCamera() {
    const ticket = ++this.newest;
    this.view.fail("");
    try {
      await this.camera.start(() => this.#lostCamera());
      await this.#watch(ticket);
    } catch (error) {
      if (ticket !== this.newest) return;
      this.stopCamera();
      this.#refuse(error);
    }
  }

  /** Stop; the frame at work is the last to be shown. */
  stopCamera() {
    this.camera.stop();
    byId("camera").textContent = "Use the camera";
    byId("switch").hidden = true;
  }

  /** Go on with the next camera. */
  async switchCamera() {
    await this.camera.choose();
    this.camera.stop();
    await this.startCamera();
  }

  #lostCamera() {
    this.stopCamera();
    this.view.fail("The camera was taken away.");
  }

  /** Explain one frame after the other, as fast as the network is. Each is shown with its own map. */
  async #watch(ticket) {
    const watching = () => ticket === this.newest && this.camera.running;
    if (!watching()) return;
    this.explainer.chosen = null;
    byId("camera").textContent = "Stop the camera";
    byId("switch").hidden = (await this.camera.count()) < 2;
    this.view.say("The camera is on.");
    this.spoken = -Infinity;
    while (watching()) {
      const frame = await this.camera.frame();
      if (!frame) return;
      await this.#inTurn(ticket, () => this.#explain(pixels(frame, frame.height, frame.width), frame));
      if (watching() && performance.now() - this.spoken > QUIET) this.#speak();
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }

  /** Explain another class of the same picture; the best one again where it is that. */
  async choose(classId) {
    if (!this.found) return;
    const [first] = this.explainer.rows(this.found);
    this.explainer.chosen = classId === first.classId ? null : classId;
    const missing = this.explainer.chosen !== null && !this.found.maps.some((map) => map.classId === classId);
    try {
      // The camera's next frame has it anyway.
      if (missing && !this.camera.running) await this.#inTurn(this.newest, () => this.#explain(null));
      else this.#show();
      this.#speak();
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Run `task` when the runs before have ended, unless a newer picture has come by then. */
  #inTurn(ticket, task) {
    const mine = this.turn.then(() => (ticket === this.newest ? task() : null));
    this.turn = mine.catch(() => {}).then(() => this.ready);
    return mine;
  }

  /** Run, and show; `frame` is drawn with its map where it is not drawn yet. */
  async #explain(picture, frame = null) {
    const ticket = this.newest;
    const found = await this.explainer.explain(picture);
    if (ticket !== this.newest) return;
    if (frame) this.view.picture(frame, frame.height, frame.width);
    this.found = found;
    this.#show();
    document.dispatchEvent(new CustomEvent("explained", { detail: found }));
  }

  #show() {
    this.view.result(this.explainer.rows(this.found), this.found, this.threads, this.explainer.free);
  }

  /** Say the result. */
  #speak() {
    if (!this.found) return;
    this.spoken = performance.now();
    this.view.say(this.view.summary(this.explainer.rows(this.found), this.found.grid));
  }

  #refuse(error) {
    this.view.say("");
    this.view.fail(error.message);
  }
}

function listen(page, config) {
  const open = (files, otherwise) => {
    const [file] = files;
    if (file) page.open(file);
    else page.view.fail(otherwise);
  };
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files.length) open([...target.files]);
    target.value = ""; // so that the same file can be chosen again
  });
  byId("camera").addEventListener("click", () => (page.camera.running ? page.stopCamera() : page.startCamera()));
  byId("switch").addEventListener("click", () => page.switchCamera());
  byId("rows").addEventListener("change", ({ target }) => page.choose(Number(target.value)));
  byId("class").addEventListener("change", ({ target }) => page.choose(Number(target.value)));
  byId("opacity").addEventListener("input", () => page.view.opacity());
  byId("results").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("paste", ({ clipboardData }) => open(clipboardData.files, "The clipboard holds no picture."));
  const dropping = (on) => document.body.classList.toggle("dropping", on);
  addEventListener("dragover", (event) => (event.preventDefault(), dropping(true)));
  addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? dropping(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(false);
    open(event.dataTransfer.files, "What you dropped is no picture file.");
  });
  if (page.explainer.free) page.view.classes(Array.from({ length: config.classes }, (_, i) => page.explainer.label(i)));
  page.view.opacity();
}

async function start() {
  document.documentElement.classList.add("started");
  try {
    const response = await fetch("config.json", { cache: "no-cache" });
    if (!response.ok) throw new Error(`config.json is not there (${response.status}).`);
    const config = await response.json();
    listen(new Page(config), config);
  } catch (error) {
    byId("loading").hidden = true;
    byId("error").textContent = `The page is not whole: ${error.message}`;
  }
}

start();
