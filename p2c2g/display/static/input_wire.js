/**
 * What a player does, as it travels; the layout is described in p2c2g_capture/input/events.py.
 */

export const KIND = {
  keyDown: 1,
  keyUp: 2,
  buttonDown: 3,
  buttonUp: 4,
  moveTo: 5,
  moveBy: 6,
  wheel: 7,
  padButton: 8,
  padAxis: 9,
  release: 10,
  beat: 11,
};

const SIZE = 24;
const MOST = 64;
const FARTHEST = 4096;

/**
 * @typedef {object} Did one thing that a player did
 * @property {number} kind
 * @property {number} [number]
 * @property {number} [x]
 * @property {number} [y]
 * @property {number} [pad]
 * @property {number} [at] by performance.now()
 */

/**
 * What waits to be sent.  The newest motion takes the place of older motion that waits; all else is
 * kept, in its order.
 */
export class Outbox {
  constructor() {
    /** @type {Required<Did>[]} */
    this.waiting = [];
    this.sequence = 0;
  }

  /** Forget what waits; the next connection counts anew. */
  reset() {
    this.waiting = [];
    this.sequence = 0;
  }

  /** @param {Did} did */
  add({ kind, number = 0, x = 0, y = 0, pad = 0, at = performance.now() }) {
    const last = this.waiting.at(-1);
    const isMotion = kind === KIND.moveTo || kind === KIND.moveBy;
    if (isMotion && last?.kind === kind) {
      const adds = kind === KIND.moveBy;
      Object.assign(last, { x: within(adds ? last.x + x : x), y: within(adds ? last.y + y : y), at });
    } else {
      this.waiting.push({ kind, number, x: within(x), y: within(y), pad, at });
    }
  }

  /**
   * Take what waits as one message.
   * @returns {{bytes: ArrayBuffer, events: (Required<Did> & {sequence: number})[]} | null}
   */
  take() {
    const events = this.waiting.splice(0, MOST);
    if (events.length === 0) return null;
    const bytes = new ArrayBuffer(SIZE * events.length);
    const view = new DataView(bytes);
    const numbered = events.map((event, index) => {
      const offset = SIZE * index;
      this.sequence += 1;
      view.setUint8(offset, event.kind);
      view.setUint8(offset + 1, event.pad);
      view.setUint16(offset + 2, event.number, true);
      view.setUint32(offset + 4, this.sequence, true);
      view.setFloat64(offset + 8, Math.max(0, event.at), true);
      view.setFloat32(offset + 16, event.x, true);
      view.setFloat32(offset + 20, event.y, true);
      return { ...event, sequence: this.sequence };
    });
    return { bytes, events: numbered };
  }
}

/** @param {number} value */
function within(value) {
  return Math.min(FARTHEST, Math.max(-FARTHEST, value));
}
