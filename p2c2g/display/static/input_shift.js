/**
 * The late shift: moves the picture sideways by what the mouse has turned the view and no picture
 * shows yet.  Off at first.
 *
 * How far a count of the mouse turns a game's view nobody says, so it is learnt: each picture is
 * compared with the one before it, column by column, and how far it has moved with what the mouse
 * did between their captures.  What that leaves unexplained is the shift's error.
 */

/** Columns and rows that are compared, and how far apart two pictures may be, in columns. */
const COLUMNS = 160;
const ROWS = 24;
const REACH = 32;
/** Pairs of pictures that are remembered, and how many of them it takes. */
const KEPT = 64;
const ENOUGH = 8;
/** A pair says nothing where less was moved, in counts, or where no place fits better than most. */
const LEAST = 3;
const CLEAR = 0.6;
/** A game may show a motion so much later than it got it, in milliseconds. */
const LAGS = [0, 15, 30, 45, 60];
/** The most that the picture is shifted, of its width: beyond are edges. */
const MOST = 0.08;
const REMEMBERED_MS = 2000;

export class LateShift {
  /** @param {HTMLElement} picture */
  constructor(picture) {
    this.picture = picture;
    this.on = false;
    this.context = null;
    this.forget();
  }

  forget() {
    /** @type {{at: number, x: number}[]} when each motion was in the game */
    this.motions = [];
    /** @type {{columns: Float32Array, captured: number} | null} */
    this.last = null;
    /** @type {{moved: number, counts: number[]}[]} of two pictures, by lag */
    this.pairs = [];
    /** @type {{gain: number, lag: number, error: number} | null} gain in widths a count */
    this.learnt = null;
    this.place(0);
  }

  /** @param {boolean} on */
  turn(on) {
    this.on = on;
    this.forget();
  }

  /**
   * Hear of a motion.
   * @param {number} x counts to the right
   * @param {number} at when it is in the game, by performance.now()
   */
  moved(x, at) {
    if (!this.on) return;
    this.motions.push({ at, x });
    this.apply();
  }

  /**
   * Hear of a picture that is seen now.
   * @param {HTMLCanvasElement} canvas
   * @param {number} captured by performance.now()
   */
  shown(canvas, captured) {
    if (!this.on) return;
    const columns = this.read(canvas);
    if (this.last) this.learn(this.last, { columns, captured });
    this.last = { columns, captured };
    this.motions = this.motions.filter(({ at }) => at > captured - REMEMBERED_MS);
    this.apply();
  }

  /** @returns {Float32Array} the mean of each column, without what stands still at the edges */
  read(canvas) {
    this.context ??= new OffscreenCanvas(COLUMNS, ROWS).getContext("2d", { willReadFrequently: true });
    const { width, height } = canvas;
    this.context.drawImage(canvas, 0, height * 0.2, width, height * 0.5, 0, 0, COLUMNS, ROWS);
    const { data } = this.context.getImageData(0, 0, COLUMNS, ROWS);
    const means = new Float32Array(COLUMNS);
    for (let at = 0; at < data.length; at += 4) {
      means[(at / 4) % COLUMNS] += (data[at] + 2 * data[at + 1] + data[at + 2]) / (4 * ROWS);
    }
    return means;
  }

  learn(before, after) {
    const counts = LAGS.map((lag) => this.between(before.captured - lag, after.captured - lag));
    if (Math.max(...counts.map(Math.abs)) < LEAST) return;
    const moved = displacement(before.columns, after.columns);
    if (moved === null) return;
    this.pairs = [...this.pairs, { moved, counts }].slice(-KEPT);
    if (this.pairs.length < ENOUGH) return;
    const fits = LAGS.map((lag, index) => {
      const xs = this.pairs.map((pair) => pair.counts[index]);
      const squares = sum(xs.map((x) => x * x));
      const gain = squares ? sum(this.pairs.map((pair, at) => pair.moved * xs[at])) / squares : 0;
      const errors = this.pairs.map((pair, at) => Math.abs(pair.moved - gain * xs[at]));
      return { gain: gain / COLUMNS, lag, error: sum(errors) / errors.length / COLUMNS };
    });
    this.learnt = fits.reduce((best, fit) => (fit.error < best.error ? fit : best));
  }

  between(since, until) {
    return sum(this.motions.filter(({ at }) => at > since && at <= until).map(({ x }) => x));
  }

  apply() {
    if (!this.learnt || !this.last) return;
    const { gain, lag } = this.learnt;
    const unseen = this.between(this.last.captured - lag, Infinity);
    this.place(Math.min(MOST, Math.max(-MOST, gain * unseen)));
  }

  /** @param {number} share of the width */
  place(share) {
    const moved = share ? `${(100 * share).toFixed(2)}% 0` : "";
    for (const canvas of this.picture.querySelectorAll("canvas")) canvas.style.translate = moved;
  }

  /** @returns {string} what is known of it, for those who look closer */
  get says() {
    if (!this.on) return "";
    if (!this.learnt) return "late shift: learning how far the mouse turns";
    const { error, lag } = this.learnt;
    return `late shift: off by ${(100 * error).toFixed(1)} % of the width on average; the game is ${lag} ms late`;
  }
}

/**
 * @param {Float32Array} before
 * @param {Float32Array} after
 * @returns {number | null} by how many columns it moved to the right; null where none is clear
 */
export function displacement(before, after) {
  const differences = [];
  for (let by = -REACH; by <= REACH; by += 1) {
    let total = 0;
    let count = 0;
    for (let at = Math.max(0, by); at < Math.min(COLUMNS, COLUMNS + by); at += 1) {
      total += Math.abs(after[at] - before[at - by]);
      count += 1;
    }
    differences.push(total / count);
  }
  const best = differences.indexOf(Math.min(...differences));
  const middle = [...differences].sort((a, b) => a - b)[REACH];
  if (best === 0 || best === 2 * REACH || differences[best] > CLEAR * middle) return null;
  const [left, here, right] = differences.slice(best - 1, best + 2);
  const bend = left - 2 * here + right;
  return best - REACH + (bend > 0 ? (left - right) / (2 * bend) : 0);
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
