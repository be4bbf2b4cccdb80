/**
 * How far this browser's clock and the session's are apart, and how long a picture takes from its
 * capture to the screen.  No DOM in here.
 */

/** Milliseconds for which a look at the session's clock counts. */
const WINDOW_MS = 10_000;
/** Pictures whose delay is looked at: one or two seconds of them. */
const PICTURES = 48;
/** Of the way to the picture's new delay so much is gone with each picture. */
const EASE = 0.1;
/** The most that a picture waits for its sound, in ms. */
const MOST_HELD_MS = 100;

/** The session's clock, as seen from here. */
export class SessionClock {
  constructor() {
    /** @type {{at: number, offset: number}[]} offsets rise: a sliding minimum */
    this.least = [];
  }

  /**
   * Note a message: the one that took the least time on its way tells most.
   * @param {number} sent_ms by the session's clock
   * @param {number} now by performance.now()
   */
  heard(sent_ms, now) {
    const offset = now - sent_ms;
    while (this.least.length > 0 && this.least.at(-1).offset >= offset) this.least.pop();
    this.least.push({ at: now, offset });
    while (now - this.least[0].at > WINDOW_MS) this.least.shift();
  }

  /** @returns {number | null} what is to be added to the session's clock for this browser's */
  get offset() {
    return this.least.length > 0 ? this.least[0].offset : null;
  }
}

/** How long after its capture a picture appears. */
export class PictureDelay {
  constructor() {
    /** @type {number[]} */
    this.recent = [];
    /** @type {number | null} milliseconds, smoothed; null while no picture was shown */
    this.value = null;
  }

  /**
   * @param {number} delay_ms of a picture that has just been shown
   */
  shown(delay_ms) {
    this.recent.push(delay_ms);
    if (this.recent.length > PICTURES) this.recent.shift();
    const middle = this.recent.toSorted((a, b) => a - b)[this.recent.length >> 1];
    this.value = this.value === null ? middle : this.value + EASE * (middle - this.value);
  }

  /** Forget all: another session's, or a line that was made anew. */
  forget() {
    this.recent = [];
    this.value = null;
  }
}

/**
 * Return until when a picture waits for its sound.  A refresh of the screen comes after that, never
 * before; by so much the sound is held back in turn.
 * @param {number} due by performance.now(): when its sound is heard
 * @param {number} readyAt when it could be shown
 */
export function heldUntil(due, readyAt) {
  return Math.min(due, readyAt + MOST_HELD_MS);
}
