/** The comparison: the gamer's own picture left of the divider, and right of it with peers. */

const NAMES = ["enhanced", "split", "base"];
const SNAP = 0.015;
/** Where the divider was left; who comes for the first time sees both. */
const KEPT = "p2c2g.divider";
const AT_FIRST = 0.5;

export class Comparison {
  /**
   * @param {HTMLElement} picture the box whose width the divider shares out
   * @param {HTMLElement} divider the slider
   * @param {(position: number) => void} changed from 0 (all enhanced) to 1 (all base)
   */
  constructor(picture, divider, changed) {
    this.picture = picture;
    this.divider = divider;
    this.changed = changed;
    this.position = 0;
    this.lastSplit = AT_FIRST;
    divider.addEventListener("pointerdown", (event) => this.grab(event));
    divider.addEventListener("pointermove", (event) => this.drag(event));
    divider.addEventListener("keydown", (event) => this.key(event));
    for (const button of document.querySelectorAll("[data-choose]")) {
      button.addEventListener("click", () => this.choose(button.dataset.choose));
    }
  }

  /** @returns {"enhanced" | "split" | "base"} */
  get mode() {
    if (this.position === 0) return "enhanced";
    return this.position === 1 ? "base" : "split";
  }

  /** Begin where this browser left it. */
  start() {
    const kept = Number.parseFloat(recall() ?? "");
    this.move(Number.isFinite(kept) ? kept : AT_FIRST);
  }

  /** Go on to the next of enhanced, split and base. */
  next() {
    this.choose(NAMES[(NAMES.indexOf(this.mode) + 1) % NAMES.length]);
  }

  /** @param {string} mode */
  choose(mode) {
    this.move({ enhanced: 0, split: this.lastSplit, base: 1 }[mode]);
  }

  /** @param {number} position */
  move(position) {
    const whole = Math.min(1, Math.max(0, position));
    this.position = whole;
    if (this.mode === "split") this.lastSplit = whole;
    const percent = Math.round(whole * 100);
    this.picture.style.setProperty("--divider", String(whole));
    this.divider.setAttribute("aria-valuenow", String(percent));
    this.divider.setAttribute(
      "aria-valuetext",
      {
        enhanced: "All with peers",
        base: "All your own picture",
        split: `${percent} % your own picture`,
      }[this.mode],
    );
    document.body.dataset.mode = this.mode;
    for (const button of document.querySelectorAll("[data-choose]")) {
      button.setAttribute("aria-pressed", String(button.dataset.choose === this.mode));
    }
    this.changed(whole);
    keep(String(whole));
  }

  /** @param {PointerEvent} event */
  grab(event) {
    if (event.button !== 0) return;
    this.divider.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.divider.focus({ focusVisible: false });
  }

  /** @param {PointerEvent} event */
  drag(event) {
    if (!this.divider.hasPointerCapture(event.pointerId)) return;
    const box = this.picture.getBoundingClientRect();
    const position = (event.clientX - box.left) / box.width;
    // The ends are easy to hit: there one layer need not be decoded.
    if (position < SNAP) this.move(0);
    else this.move(position > 1 - SNAP ? 1 : position);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = event.shiftKey ? 0.1 : 0.01;
    const at = Math.round(this.position * 100) / 100;
    const to = {
      ArrowLeft: at - step,
      ArrowDown: at - step,
      ArrowRight: at + step,
      ArrowUp: at + step,
      PageDown: at - 0.1,
      PageUp: at + 0.1,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.move(Math.round(to * 100) / 100);
  }
}

/** @returns {string | null} */
function recall() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // a browser may keep nothing
  }
}

/** @param {string} text */
function keep(text) {
  try {
    localStorage.setItem(KEPT, text);
  } catch {
    // As above.
  }
}
