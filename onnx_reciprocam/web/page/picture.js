/** Pictures from files, the clipboard and the camera as pixels. */

const MOST_PIXELS = 100_000_000; // as onnx_reciprocam/runtime/images.py
const STRIP = 4_000_000; // pixels read at a time: phones give large canvases no memory

/** Decode a file: upright as its EXIF says, colours as stored. */
export async function decode(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${blob.name ? `“${blob.name}”` : "That"} is no picture that this browser can read.`);
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) throw new Error(`A picture of ${bitmap.width} by ${bitmap.height} pixels is too large; make it smaller first.`);
  return bitmap;
}

/** The pixels of anything that a canvas draws, on white: `{ data, height, width, step }`. */
export function pixels(source, height, width) {
  const data = new Uint8ClampedArray(height * width * 4);
  const rows = Math.max(1, Math.floor(STRIP / width));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height: Math.min(rows, height) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, canvas.height);
    context.drawImage(source, 0, -top);
    const strip = Math.min(rows, height - top);
    data.set(context.getImageData(0, 0, width, strip).data, top * width * 4);
  }
  return { data, height, width, step: 4 };
}
