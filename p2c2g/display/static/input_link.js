/** The way into the game: a socket of its own, and what is held on it. */

import { KIND, Outbox } from "./input_wire.js";

/** While anything is held the session is told so often that we are there; it waits twice as long. */
const BEAT_MS = 50;
/** A page that stood still hears what was let go meanwhile within this: no press counts twice. */
const SETTLED_MS = 20;
const AGAIN_MS = 500;
const TRIES = 6;
/** How many presses are followed until they are in the game. */
const FOLLOWED = 256;

const DOWN_OF = { [KIND.keyUp]: KIND.keyDown, [KIND.buttonUp]: KIND.buttonDown };
const PRESSES = new Set([KIND.keyDown, KIND.buttonDown]);
const OF_PAD = new Set([KIND.padButton, KIND.padAxis]);

/**
 * @typedef {import("./input_wire.js").Did} Did
 *
 * @typedef {object} State what the session says of the controls
 * @property {boolean} plays
 * @property {"all" | "pads"} role
 * @property {boolean} held somebody else plays
 * @property {("keys" | "pointer" | "pads")[]} can what goes into the game
 * @property {string} by how
 * @property {string} says
 *
 * @typedef {object} Took one press, in milliseconds by stage
 * @property {number} at when it was pressed, by performance.now()
 * @property {number} here until it was sent
 * @property {number} way
 * @property {number} inside from the session into the game
 */

export class InputLink {
  /**
   * @param {URL} url
   * @param {string} token
   * @param {{state: (state: State) => void, took: (took: Took) => void,
   *   refused: (why: string) => void, away: () => void, lost: (reason: string) => void}} handlers
   *   away: for a moment; lost: for good
   */
  constructor(url, token, handlers) {
    this.url = url;
    this.token = token;
    this.handlers = handlers;
    this.outbox = new Outbox();
    /** @type {Map<string, Did>} what is pressed, by what it is */
    this.held = new Map();
    /** @type {Map<number, {at: number, sent: number}>} */
    this.followed = new Map();
    /** @type {WebSocket | null} */
    this.socket = null;
    this.closed = false;
    this.tries = 0;
    this.later = 0;
    this.beats = setInterval(() => this.beat(), BEAT_MS);
    this.connect();
  }

  connect() {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.outbox.reset();
    this.followed.clear();
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ token: this.token }));
      socket.send(JSON.stringify({ take: true }));
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.socket === socket) this.told(JSON.parse(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.socket === socket) this.lost(code, reason);
    });
  }

  /**
   * Send what was done, at once; motion waits while earlier motion is still on its way out.
   * @param {Did} did
   */
  do(did) {
    const { kind } = did;
    const number = did.number ?? 0;
    if (PRESSES.has(kind)) {
      this.held.set(`${kind} ${number}`, did);
    } else if (DOWN_OF[kind]) {
      if (!this.held.delete(`${DOWN_OF[kind]} ${number}`)) return;
    } else if (OF_PAD.has(kind)) {
      const key = `${kind} ${number} ${did.pad ?? 0}`;
      if (did.x) this.held.set(key, did);
      else this.held.delete(key);
    }
    this.outbox.add(did);
    const isMotion = kind === KIND.moveTo || kind === KIND.moveBy;
    if (!isMotion || this.socket?.bufferedAmount === 0) this.flush();
    else this.later ||= requestAnimationFrame(() => this.flush());
  }

  /** Let go of everything. */
  release() {
    if (this.held.size === 0) return;
    this.held.clear();
    this.outbox.add({ kind: KIND.release });
    this.flush();
  }

  /** @param {number} kind @param {number} number @returns {boolean} */
  holds(kind, number) {
    return this.held.has(`${kind} ${number}`);
  }

  /** Give the controls back. */
  close() {
    this.release();
    this.closed = true;
    clearInterval(this.beats);
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ take: false }));
    this.socket?.close();
    this.socket = null;
  }

  flush() {
    cancelAnimationFrame(this.later);
    this.later = 0;
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.outbox.reset();
      return;
    }
    let message;
    while ((message = this.outbox.take())) {
      this.socket.send(message.bytes);
      const sent = performance.now();
      for (const { kind, at, sequence } of message.events) {
        if (PRESSES.has(kind) && this.followed.size < FOLLOWED) this.followed.set(sequence, { at, sent });
      }
    }
  }

  beat() {
    if (this.held.size === 0) return;
    this.outbox.add({ kind: KIND.beat });
    this.flush();
  }

  /** @param {Record<string, any>} said */
  told(said) {
    if (said.ack !== undefined) {
      this.arrived(said);
    } else if (said.let_go) {
      // Nothing came from here for a moment, and so all was let go.
      setTimeout(() => this.pressAgain(), SETTLED_MS);
    } else if (said.refused) {
      this.handlers.refused(said.refused);
    } else {
      this.tries = 0;
      this.handlers.state(said);
    }
  }

  /** What is pressed is so still, though the session had to let it go. */
  pressAgain() {
    for (const did of this.held.values()) this.outbox.add({ ...did, at: performance.now() });
    this.flush();
  }

  /** @param {{ack: number, got: number, done: number}} said */
  arrived({ ack, got, done }) {
    const now = performance.now();
    for (const [sequence, { at, sent }] of this.followed) {
      if (sequence > ack) continue;
      this.followed.delete(sequence);
      const inside = done - got;
      const way = Math.max(0, now - sent - inside) / 2;
      this.handlers.took({ at, here: Math.max(0, sent - at), way, inside });
    }
  }

  /** @param {number} code @param {string} reason */
  lost(code, reason) {
    this.held.clear();
    this.tries += 1;
    if (code === 1008 || this.tries > TRIES) {
      this.closed = true;
      clearInterval(this.beats);
      this.handlers.lost(reason || "The session does not take input any more.");
      return;
    }
    this.handlers.away();
    setTimeout(() => {
      if (!this.closed) this.connect();
    }, AGAIN_MS);
  }
}
