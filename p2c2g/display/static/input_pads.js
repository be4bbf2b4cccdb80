/** Gamepads: looked at once a frame, and what has changed of them told. */

import { KIND } from "./input_wire.js";

/** @typedef {import("./input_wire.js").Did} Did */

const PADS = 4;
const AXES = 4;
const BUTTONS = 17;
/** A stick at rest is nowhere exactly. */
const DEAD = 0.1;
const STEPS = 127;

export class Pads {
  /** @param {(did: Did) => void} tell */
  constructor(tell) {
    this.tell = tell;
    /** @type {Map<string, number>} what was told of each part that is not at rest */
    this.told = new Map();
    this.frame = 0;
  }

  /** @returns {number} how many are plugged in */
  get count() {
    return this.all().length;
  }

  start() {
    this.frame ||= requestAnimationFrame(() => this.look());
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.told.clear();
  }

  /** @returns {Gamepad[]} */
  all() {
    // Without TLS some browsers have none.
    return [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad && pad.index < PADS);
  }

  look() {
    this.frame = requestAnimationFrame(() => this.look());
    const seen = new Set();
    for (const pad of this.all()) {
      pad.buttons.slice(0, BUTTONS).forEach(({ value, pressed }, number) => {
        this.say(seen, KIND.padButton, pad.index, number, Math.max(value, Number(pressed)));
      });
      pad.axes.slice(0, AXES).forEach((value, number) => {
        const moved = Math.abs(value) < DEAD ? 0 : value;
        this.say(seen, KIND.padAxis, pad.index, number, Math.min(1, Math.max(-1, moved)));
      });
    }
    // One that was unplugged holds nothing.
    for (const key of this.told.keys()) {
      if (seen.has(key)) continue;
      const [kind, pad, number] = key.split(" ").map(Number);
      this.say(seen, kind, pad, number, 0);
    }
  }

  /** @param {Set<string>} seen */
  say(seen, kind, pad, number, value) {
    const key = `${kind} ${pad} ${number}`;
    seen.add(key);
    const x = Math.round(value * STEPS) / STEPS;
    if ((this.told.get(key) ?? 0) === x) return;
    if (x === 0) this.told.delete(key);
    else this.told.set(key, x);
    this.tell({ kind, number, x, pad });
  }
}
