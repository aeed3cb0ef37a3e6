/** Scores of a classifier as probabilities, as onnx_reciprocam/runtime/scores.py has them. */

/** @param activation What made them, as the file says: softmax, logsoftmax, sigmoid or none. */
export function probabilities(scores, activation) {
  if (activation === "softmax" || activation === "sigmoid") return scores;
  if (scores.length === 1) return scores.map((score) => 1 / (1 + Math.exp(-score)));
  const most = scores.reduce((a, b) => Math.max(a, b));
  const raised = scores.map((score) => Math.exp(score - most));
  const sum = raised.reduce((a, b) => a + b);
  return raised.map((value) => value / sum);
}

/** Numbers of the `count` best classes, best first; of equals the first. */
export function best(scores, count) {
  return Array.from(scores.keys())
    .sort((a, b) => scores[b] - scores[a] || a - b)
    .slice(0, count);
}
