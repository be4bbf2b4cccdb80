/**
 * The stage: two back layers (base and enhanced) and the one canvas that people see.
 *
 * Images are decoded first and drawn into a back layer once they are all there; the
 * visible canvas is then painted in one go, so that it never holds parts of two frames.
 */

import { closePieces, decodeLayer } from "./frames.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").LayerName} LayerName */
/** @typedef {import("./frames.js").Piece} Piece */
/** @typedef {Map<LayerName, Piece[]>} Decoded */

/** One back layer: a whole frame, unseen. */
class Layer {
  constructor() {
    this.canvas = new OffscreenCanvas(1, 1);
    this.context = this.canvas.getContext("2d", { alpha: false });
    /** @type {Frame | null} */
    this.frame = null;
  }

  /**
   * Paint all pieces of a frame, and free them.
   * @param {Frame} frame
   * @param {Piece[]} pieces
   */
  paint(frame, pieces) {
    const [width, height] = frame.output;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    for (const piece of pieces) {
      if (piece.isBase) this.paintBase(piece);
      else this.context.drawImage(piece.bitmap, ...piece.tile.target);
    }
    closePieces(pieces);
    this.frame = frame;
  }

  /**
   * Paint a source chunk over its target.  All of it is drawn and the rest clipped off, so
   * that its halo feeds the scaler and no seam shows between two chunks.
   * @param {Piece} piece
   */
  paintBase({ tile, bitmap }) {
    const [x, y, width, height] = tile.target;
    const [cropX, cropY, cropWidth, cropHeight] = tile.base_crop;
    const scaleX = width / cropWidth;
    const scaleY = height / cropHeight;
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "low"; // bilinear: quick, and softer than the session's own
    context.drawImage(
      bitmap,
      x - cropX * scaleX,
      y - cropY * scaleY,
      bitmap.width * scaleX,
      bitmap.height * scaleY,
    );
    context.restore();
  }
}

/** What is seen, and the comparison's divider. */
export class Stage {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.layers = { base: new Layer(), enhanced: new Layer() };
    /** @type {Frame | null} the frame that is seen */
    this.frame = null;
    /** Share of the width, from the left, that shows the base layer. */
    this.divider = 0;
  }

  /**
   * The layers that can be seen at the divider's position.
   * @returns {LayerName[]}
   */
  get needed() {
    if (this.divider <= 0) return ["enhanced"];
    return this.divider >= 1 ? ["base"] : ["base", "enhanced"];
  }

  /**
   * Decode what is needed of a frame, without showing anything.
   * @param {Frame} frame
   * @returns {Promise<Decoded>}
   */
  async decode(frame) {
    const names = this.needed;
    const results = await Promise.allSettled(names.map((name) => decodeLayer(frame, name)));
    const decoded = new Map();
    results.forEach((result, index) => {
      if (result.status === "fulfilled") decoded.set(names[index], result.value);
    });
    const failure = results.find((result) => result.status === "rejected");
    if (failure) {
      this.discard(decoded);
      throw failure.reason;
    }
    return decoded;
  }

  /** @param {Decoded} decoded */
  discard(decoded) {
    for (const pieces of decoded.values()) closePieces(pieces);
  }

  /**
   * Show a frame, whole.
   * @param {Frame} frame
   * @param {Decoded} decoded
   */
  show(frame, decoded) {
    for (const [name, pieces] of decoded) this.layers[name].paint(frame, pieces);
    const [width, height] = frame.output;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.parentElement.style.setProperty("--ratio", String(width / height));
    }
    this.frame = frame;
    this.compose();
  }

  /**
   * Move the divider, and decode the layer that it uncovers of the frame that is seen.
   * @param {number} divider from 0 (all enhanced) to 1 (all base)
   */
  async compare(divider) {
    this.divider = Math.min(1, Math.max(0, divider));
    this.compose();
    const { frame } = this;
    if (!frame || this.needed.every((name) => this.layers[name].frame === frame)) return;
    const decoded = await this.decode(frame);
    // A newer frame may have been shown meanwhile: an older one must not come back.
    if (this.frame === frame) this.show(frame, decoded);
    else this.discard(decoded);
  }

  /** Paint the visible canvas from the layers of the frame that is seen. */
  compose() {
    const { base, enhanced } = this.layers;
    const { width, height } = this.canvas;
    const hasBase = base.frame !== null && base.frame === this.frame;
    const hasEnhanced = enhanced.frame !== null && enhanced.frame === this.frame;
    if (!hasBase && !hasEnhanced) return;
    let edge = Math.round(this.divider * width);
    if (!hasBase) edge = 0;
    if (!hasEnhanced) edge = width;
    if (edge < width) {
      const rest = width - edge;
      this.context.drawImage(enhanced.canvas, edge, 0, rest, height, edge, 0, rest, height);
    }
    if (edge > 0) {
      this.context.drawImage(base.canvas, 0, 0, edge, height, 0, 0, edge, height);
    }
  }
}
