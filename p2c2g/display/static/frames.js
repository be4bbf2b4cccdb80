/**
 * A picture's message: read, and its images decoded.  The layout is described in
 * p2c2g/display/message.py.
 */

/**
 * @typedef {[number, number, number, number]} Rect x, y, width, height in pixels
 *
 * @typedef {object} Tile
 * @property {Rect} target place in the output
 * @property {string} media_type of the enhanced image
 * @property {[number, number] | null} enhanced offset and length; null: base replaces it
 * @property {string} base_media_type of the base image
 * @property {[number, number]} base offset and length
 * @property {Rect} base_crop the part of the base image that corresponds to the target
 *
 * @typedef {object} Frame
 * @property {number} number
 * @property {"complete" | "degraded"} state
 * @property {[number, number]} output width and height in pixels
 * @property {number} age_ms from the capture to the sending
 * @property {Tile[]} tiles
 * @property {Uint8Array} payloads
 * @property {number} arrivedAt by performance.now()
 *
 * @typedef {"base" | "enhanced"} LayerName
 *
 * @typedef {object} Piece one decoded image and where it goes
 * @property {Tile} tile
 * @property {boolean} isBase
 * @property {ImageBitmap} bitmap
 */

const BITMAP_OPTIONS = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

/**
 * Read a message.
 * @param {ArrayBuffer} buffer
 * @returns {Frame}
 */
export function readFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return {
    ...header,
    payloads: new Uint8Array(buffer, 4 + length),
    arrivedAt: performance.now(),
  };
}

/**
 * Decode all images of one layer; all or nothing.
 * @param {Frame} frame
 * @param {LayerName} layer
 * @returns {Promise<Piece[]>}
 */
export async function decodeLayer(frame, layer) {
  const results = await Promise.allSettled(frame.tiles.map((tile) => decodeTile(frame, tile, layer)));
  const failure = results.find((result) => result.status === "rejected");
  const pieces = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  if (failure) {
    closePieces(pieces);
    throw failure.reason;
  }
  return pieces;
}

/**
 * Free the memory of decoded images at once; the garbage collector may take seconds.
 * @param {Piece[]} pieces
 */
export function closePieces(pieces) {
  for (const piece of pieces) piece.bitmap.close();
}

/**
 * @param {Frame} frame
 * @param {Tile} tile
 * @param {LayerName} layer
 * @returns {Promise<Piece>}
 */
async function decodeTile(frame, tile, layer) {
  const isBase = layer === "base" || tile.enhanced === null;
  const [offset, length] = isBase ? tile.base : tile.enhanced;
  const type = isBase ? tile.base_media_type : tile.media_type;
  const blob = new Blob([frame.payloads.subarray(offset, offset + length)], { type });
  return { tile, isBase, bitmap: await createImageBitmap(blob, BITMAP_OPTIONS) };
}
