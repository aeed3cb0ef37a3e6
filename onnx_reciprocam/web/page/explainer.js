/** Which classes get a map, and the runs that this takes. */

import { best, probabilities } from "./scores.js";

export class Explainer {
  constructor(config, client) {
    this.config = config;
    this.client = client;
    this.asked = Array.from({ length: config.shown }, (_, i) => i);
    this.chosen = null; // a class, or null for whichever is best
  }

  /** Whether a map of any class may be asked for. */
  get free() {
    return this.config.choice === "all" || this.config.choice === "input";
  }

  label(classId) {
    return this.config.labels[classId] ?? `class ${classId}`;
  }

  /**
   * Explain a picture, or with null the one before.
   *
   * A file that takes class numbers runs again where its best classes turn out to be others than those asked for.
   */
  async explain(picture) {
    let found = await this.client.explain(picture, this.asked);
    if (this.config.class_ids) {
      const wanted = this.#listed(found.scores);
      if (!wanted.every((classId) => this.asked.includes(classId))) {
        this.asked = wanted;
        found = await this.client.explain(null, wanted);
      }
    }
    return { ...found, chances: probabilities(found.scores, this.config.activation) };
  }

  /** The rows to show of what was found: best classes, and the chosen one; each with its map, if any. */
  rows({ scores, chances, maps }) {
    const values = new Map(maps.map((map) => [map.classId, map.values]));
    const mapped = [...values.keys()].sort((a, b) => scores[b] - scores[a] || a - b);
    const explained = this.chosen !== null && values.has(this.chosen) ? this.chosen : mapped[0];
    return this.#listed(scores).map((classId) => ({
      classId,
      label: this.label(classId),
      chance: chances[classId],
      map: values.get(classId) ?? null,
      explained: classId === explained,
    }));
  }

  #listed(scores) {
    const listed = best(scores, this.config.shown);
    return this.chosen === null || listed.includes(this.chosen) ? listed : [...listed, this.chosen];
  }
}
