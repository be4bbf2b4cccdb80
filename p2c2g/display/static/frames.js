/**
 * A picture's message: read, and its images decoded.  The layout is described in
 * p2c2g/display/message.py.
 */

/**
 * @typedef {[number, number, number, number]} Rect x, y, width, height in pixels
 * @typedef {[number, number]} Part offset and length in the payloads
 *
 * @typedef {object} Frame
 * @property {number} number
 * @property {"complete" | "degraded"} state
 * @property {[number, number]} output width and height in pixels
 * @property {number} captured_ms by the session's clock
 * @property {number} age_ms from the capture to the sending
 * @property {string} media_type of own, picture and base
 * @property {Part} [own] the frame's own pixels: this browser makes the picture
 * @property {{target: Rect, payload: Part, media_type: string}[]} [residuals]
 * @property {Part} [picture] the whole picture: the session made it
 * @property {Part | null} [base]
 * @property {Uint8Array} payloads
 * @property {import("./composer.js").Terms | null} terms that hold for it
 * @property {number} arrivedAt by performance.now()
 * @property {number} [readyAt] when it could be shown
 * @property {boolean} [isAnswered] whether the session knows that it is shown, or will be
 *
 * @typedef {object} Decoded
 * @property {ImageBitmap | Uint8Array} [own]
 * @property {{target: Rect, low: ImageBitmap, high: ImageBitmap | null}[]} [residuals]
 * @property {ImageBitmap} [picture]
 * @property {ImageBitmap | null} [base]
 * @property {ImageBitmap[]} bitmaps all that is to be closed
 */

/** Pixels as they are, four bytes each. */
const RGBA = "rgba";
const BITMAP_OPTIONS = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

/**
 * Read a message.
 * @param {ArrayBuffer} buffer
 * @param {import("./composer.js").Terms | null} terms
 * @returns {Frame}
 */
export function readFrame(buffer, terms) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return {
    ...header,
    terms,
    payloads: new Uint8Array(buffer, 4 + length),
    arrivedAt: performance.now(),
  };
}

/**
 * Decode all images of a frame; all or nothing.
 * @param {Frame} frame
 * @returns {Promise<Decoded>}
 */
export async function decodeFrame(frame) {
  const bitmaps = [];
  const decode = async (part, type) => {
    const bytes = frame.payloads.subarray(part[0], part[0] + part[1]);
    if (type === RGBA) return bytes;
    const bitmap = await createImageBitmap(new Blob([bytes], { type }), BITMAP_OPTIONS);
    bitmaps.push(bitmap);
    return bitmap;
  };
  const residual = async ({ target, payload, media_type }) => {
    const [, , width, height] = target;
    const low = await decode(payload, media_type);
    const planes = low.height / height;
    if (low.width !== width || (planes !== 1 && planes !== 2)) {
      throw new Error(`A residual of ${low.width}x${low.height} came for ${width}x${height}.`);
    }
    const high = planes === 2 ? await createImageBitmap(low, 0, height, width, height) : null;
    if (high) bitmaps.push(high);
    return { target, low, high };
  };
  const parts = frame.own
    ? [decode(frame.own, frame.media_type), ...frame.residuals.map(residual)]
    : [frame.picture, frame.base].map((part) => part && decode(part, frame.media_type));
  const results = await Promise.allSettled(parts);
  const failure = results.find((result) => result.status === "rejected");
  if (failure) {
    closeAll({ bitmaps });
    throw failure.reason;
  }
  const [first, ...rest] = results.map((result) => result.value);
  if (frame.own) return { own: first, residuals: rest, bitmaps };
  return { picture: first, base: rest[0], bitmaps };
}

/**
 * Free the memory of decoded images at once; the garbage collector may take seconds.
 * @param {{bitmaps: ImageBitmap[]}} decoded
 */
export function closeAll({ bitmaps }) {
  for (const bitmap of bitmaps) bitmap.close();
}
