/**
 * The stage: where pictures are seen.  A graphics card draws them on one canvas; where there is
 * none, the session's own pictures are painted on another.  Either is changed in one go, so that
 * it never holds parts of two frames.
 */

import { Composer } from "./composer.js";
import { closeAll } from "./frames.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").Decoded} Decoded */

/** What is seen, and the comparison's divider. */
export class Stage {
  /**
   * @param {HTMLCanvasElement} painted shows what the session composed
   * @param {HTMLCanvasElement} drawn shows what this browser composes
   * @param {() => void} changed what it wants of the session is not what it was
   * @param {"card" | "software" | "off"} by what may draw
   */
  constructor(painted, drawn, changed, by) {
    this.painted = painted;
    this.context = painted.getContext("2d", { alpha: false });
    this.drawn = drawn;
    this.changed = changed;
    this.composer = by === "off" ? null : Composer.create(drawn, { software: by === "software" });
    /** @type {Frame | null} the frame that is seen */
    this.frame = null;
    /** @type {Decoded | null} its images, where it is painted */
    this.images = null;
    /** Share of the width, from the left, that shows the base layer. */
    this.divider = 0;
    drawn.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // only then may it come back
      this.stopDrawing();
    });
    drawn.addEventListener("webglcontextrestored", () => {
      this.composer = Composer.create(drawn, { software: true }); // it did once
      this.changed();
    });
  }

  /** @returns {{draws: boolean, base: boolean}} what the session is to send */
  get wish() {
    return { draws: this.composer !== null, base: this.divider > 0 };
  }

  /**
   * Show a frame, whole.
   * @param {Frame} frame
   * @param {Decoded} decoded is closed when it is no longer needed
   * @throws {Error} where it cannot be drawn
   */
  show(frame, decoded) {
    if (frame.own) {
      try {
        this.draw(frame, decoded);
      } finally {
        closeAll(decoded);
      }
      this.keep(null);
    } else {
      this.keep(decoded);
    }
    const [width, height] = frame.output;
    if (!frame.own && (this.painted.width !== width || this.painted.height !== height)) {
      this.painted.width = width;
      this.painted.height = height;
    }
    this.painted.parentElement.style.setProperty("--ratio", String(width / height));
    this.painted.hidden = Boolean(frame.own);
    this.drawn.hidden = !frame.own;
    this.frame = frame;
    this.compare(this.divider);
  }

  /**
   * Move the divider.
   * @param {number} divider from 0 (all enhanced) to 1 (all base)
   */
  compare(divider) {
    const { wish } = this;
    this.divider = Math.min(1, Math.max(0, divider));
    if (this.wish.base !== wish.base) this.changed();
    if (!this.frame) return;
    if (this.frame.own) this.composer?.show(this.divider);
    else this.paint();
  }

  /** Show nothing more of a session that is gone, once the next one's first picture is there. */
  forget() {
    this.frame = null;
  }

  /** @param {Frame} frame @param {Decoded} decoded */
  draw({ terms }, { own, residuals }) {
    const { composer } = this;
    if (!composer || !terms) throw new Error("This browser does not draw any more.");
    try {
      if (composer.terms !== terms) composer.configure(terms);
    } catch (error) {
      this.stopDrawing();
      throw error;
    }
    composer.begin();
    composer.source(own);
    for (const { target, low, high } of residuals) composer.residual(target, low, high);
    composer.compose();
  }

  /** Leave it to the session. */
  stopDrawing() {
    if (!this.composer) return;
    this.composer = null;
    this.changed();
  }

  /** @param {Decoded | null} images of the frame that is seen */
  keep(images) {
    if (this.images) closeAll(this.images);
    this.images = images;
  }

  /** Paint the canvas from the images of the frame that is seen. */
  paint() {
    const { picture, base } = this.images;
    const { width, height } = this.painted;
    // The base comes with the next picture, once there is a divider.
    const edge = base ? Math.round(this.divider * width) : 0;
    if (edge < width) {
      const rest = width - edge;
      this.context.drawImage(picture, edge, 0, rest, height, edge, 0, rest, height);
    }
    if (edge > 0) this.context.drawImage(base, 0, 0, edge, height, 0, 0, edge, height);
  }
}
