/**
 * Playing: takes and gives back the controls, and hears keyboard, mouse, fingers and gamepads.
 *
 * The cursor over the picture is the browser's own, so it is where the hand is at once, however old
 * the picture.
 */

import { InputLink } from "./input_link.js";
import { NUMBERS } from "./input_keys.js";
import { Pads } from "./input_pads.js";
import { LateShift } from "./input_shift.js";
import { ScreenPad, Touch } from "./input_touch.js";
import { KIND } from "./input_wire.js";

/** @typedef {import("./input_link.js").State} State */
/** @typedef {import("./input_link.js").Took} Took */

/** Gives the controls back; no game gets it. */
const GIVE_BACK = "F8";
const KEPT = "p2c2g:play";
/** Where the browser took Escape for itself it says so within this time, or never. */
const ESCAPE_MS = 250;
const NOTCH_PX = 100;
const LINES = 3;
/** Presses whose times are shown. */
const SHOWN = 64;

const MISSING = {
  keys: "The keyboard does not reach this game.",
  pointer: "The mouse does not reach this game.",
  pads: "Gamepads do not reach this game.",
};

const byId = (id) => document.getElementById(id);

export class Player {
  /** @param {HTMLElement} picture */
  constructor(picture) {
    this.picture = picture;
    /** @type {InputLink | null} */
    this.link = null;
    /** @type {State | null} */
    this.state = null;
    this.looks = false;
    this.leaves = false; // the lock or the full screen, by our own doing
    this.escapedAt = -Infinity;
    this.unknown = "";
    /** @type {{at: number, into: number}[]} presses that no picture has shown yet */
    this.unseen = [];
    /** @type {(Took & {into: number, shown?: number})[]} */
    this.presses = [];
    const tell = (did) => this.tell(did);
    this.touch = new Touch(tell, (event) => this.place(event));
    this.pads = new Pads(tell);
    this.shift = new LateShift(picture);
    new ScreenPad(byId("stick"), document.querySelectorAll("[data-pad]"), tell);
    this.token = token();
    byId("play-group").hidden = !this.token;
    byId("play").addEventListener("click", () => (this.link ? this.give() : this.take()));
    byId("give-back").addEventListener("click", () => this.give());
    byId("look").addEventListener("click", () => this.toggleLook());
    byId("late-shift").addEventListener("click", () => {
      this.shift.turn(!this.shift.on);
      document.activeElement?.blur?.();
      this.show();
    });
    this.listen();
  }

  get plays() {
    return Boolean(this.link && this.state?.plays);
  }

  /** Ask for the controls. */
  take() {
    const address = new URL("input", location.href);
    address.protocol = location.protocol.replace("http", "ws");
    address.hash = address.search = "";
    this.link = new InputLink(address, this.token, {
      state: (state) => this.heard(state),
      took: (took) => this.took(took),
      refused: (why) => this.end(why),
      away: () => {
        this.state = null;
        this.show("The way to the game is lost; it is tried again.");
      },
      lost: (reason) => this.end(reason),
    });
    document.activeElement?.blur?.();
    this.show();
  }

  /** Give the controls back. */
  give() {
    this.link?.close();
    this.link = this.state = null;
    this.unlock();
    this.leaves = false; // who does not play hears no more of it
    this.touch.clear();
    this.show();
  }

  /** @param {string} why the controls are not ours any more */
  end(why) {
    this.give();
    this.show(why);
  }

  /** @param {State} state */
  heard(state) {
    if (!state.plays) {
      // Before it is our turn there are others' states.
      if (this.state) this.end("Another viewer has taken the controls.");
      return;
    }
    this.state = state;
    if (document.fullscreenElement) navigator.keyboard?.lock?.().catch(() => {});
    this.show();
  }

  /** Hear a picture that was shown: which presses it can show. */
  shown(frame, now) {
    const captured = frame.arrivedAt - frame.age_ms;
    this.shift.shown(this.picture.querySelector("canvas:not([hidden])"), captured);
    this.unseen = this.unseen.filter((press) => {
      if (captured < press.at + press.into) return true;
      press.shown = now - press.at;
      return false;
    });
    this.write();
  }

  /** @param {Took} took */
  took(took) {
    const press = { ...took, into: took.here + took.way + took.inside };
    this.presses = [...this.presses, press].slice(-SHOWN);
    this.unseen = [...this.unseen, press].slice(-SHOWN);
    this.write();
  }

  /** @returns {number} milliseconds into the game, of half of the last presses */
  get into() {
    return part(this.presses.map(({ into }) => into), 0.5) ?? 0;
  }

  tell(did) {
    if (this.plays) this.link.do(did);
  }

  listen() {
    const hears = (target, name, heard, options = {}) =>
      target.addEventListener(
        name,
        (event) => {
          if (this.plays) heard(event);
        },
        { capture: true, ...options },
      );
    hears(window, "keydown", (event) => this.keyDown(event));
    hears(window, "keyup", (event) => this.keyUp(event));
    hears(this.picture, "pointerdown", (event) => this.pointer(event));
    hears(this.picture, "pointermove", (event) => this.pointer(event));
    hears(this.picture, "pointerup", (event) => this.pointer(event));
    hears(this.picture, "pointercancel", (event) => this.pointer(event));
    hears(this.picture, "wheel", (event) => this.wheel(event), { passive: false });
    hears(this.picture, "contextmenu", (event) => event.preventDefault());
    hears(window, "blur", () => this.release());
    hears(window, "pagehide", () => this.release());
    hears(document, "visibilitychange", () => this.release());
    hears(document, "pointerlockchange", () => this.left(document.pointerLockElement));
    hears(document, "fullscreenchange", () => {
      if (document.fullscreenElement) navigator.keyboard?.lock?.().catch(() => {});
      else this.left(null);
    });
  }

  release() {
    this.link.release();
    this.pads.told.clear();
    this.touch.clear();
  }

  /** @param {KeyboardEvent} event */
  keyDown(event) {
    event.stopImmediatePropagation();
    event.preventDefault();
    if (event.code === GIVE_BACK) {
      this.give();
      return;
    }
    if (event.repeat || event.isComposing || this.state.role === "pads") return;
    if (event.code === "Escape") this.escapedAt = performance.now();
    const number = NUMBERS[event.code];
    if (number === undefined) {
      this.unknown = `This browser does not say which key ${event.key} is; it does not reach the game.`;
      this.show();
      return;
    }
    this.tell({ kind: KIND.keyDown, number, at: event.timeStamp });
  }

  /** @param {KeyboardEvent} event */
  keyUp(event) {
    event.stopImmediatePropagation();
    event.preventDefault();
    const number = NUMBERS[event.code];
    if (number !== undefined) this.tell({ kind: KIND.keyUp, number, at: event.timeStamp });
    // macOS tells of no other key that is let go while its own is held.
    if (event.key === "Meta") this.link.release();
  }

  /** @param {PointerEvent} event */
  pointer(event) {
    if (this.state.role === "pads" || event.target.closest?.("[data-pad], #stick")) return;
    event.preventDefault();
    if (event.pointerType === "touch") {
      if (event.type === "pointerdown") this.touch.down(event);
      else if (event.type === "pointermove") this.touch.move(event);
      else this.touch.up(event);
      return;
    }
    const { timeStamp: at } = event;
    const locked = document.pointerLockElement !== null;
    if (event.type === "pointerdown" && this.looks && !locked) {
      this.lock();
      return; // the click that locks is none in the game
    }
    if (locked) {
      // Browsers give what moved since the last frame at once: the sum of all its parts.
      if (event.movementX || event.movementY) {
        this.tell({ kind: KIND.moveBy, x: event.movementX, y: event.movementY, at });
        this.shift.moved(event.movementX, at + this.into);
      }
    } else {
      this.tell({ kind: KIND.moveTo, ...this.place(event), at });
    }
    if (event.type === "pointerdown" && !locked) this.picture.setPointerCapture(event.pointerId);
    // A second button that goes down or up while one is down comes as a move.
    for (const [number, bit] of [1, 4, 2, 8, 16].entries()) {
      const isDown = (event.buttons & bit) !== 0;
      if (isDown === this.link.holds(KIND.buttonDown, number)) continue;
      this.tell({ kind: isDown ? KIND.buttonDown : KIND.buttonUp, number, at });
    }
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    if (this.state.role === "pads") return;
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? NOTCH_PX : LINES;
    const part = (delta) => Math.min(100, Math.max(-100, delta / unit));
    this.tell({ kind: KIND.wheel, x: part(event.deltaX), y: part(event.deltaY), at: event.timeStamp });
  }

  /** @param {PointerEvent} event */
  place(event) {
    const { left, top, width, height } = this.picture.getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    return { x: within((event.clientX - left) / width), y: within((event.clientY - top) / height) };
  }

  toggleLook() {
    this.looks = !this.looks;
    if (this.looks) this.lock();
    else this.unlock();
    document.activeElement?.blur?.();
    this.show();
  }

  lock() {
    const locked = this.picture.requestPointerLock({ unadjustedMovement: true });
    locked?.catch?.(() => this.picture.requestPointerLock()?.catch?.(() => {}));
  }

  unlock() {
    if (!document.pointerLockElement) return;
    this.leaves = true;
    document.exitPointerLock();
  }

  /** The full screen is left by our own button. */
  leaving() {
    this.leaves = this.plays;
  }

  /**
   * The browser left the lock or the full screen: where that was by Escape, which it keeps for
   * itself then, the game gets it nevertheless.
   * @param {Element | null} locked
   */
  left(locked) {
    this.show();
    if (locked) return;
    const ours = this.leaves || performance.now() - this.escapedAt < ESCAPE_MS;
    this.leaves = false;
    if (ours || !document.hasFocus()) return;
    this.escapedAt = performance.now();
    this.tell({ kind: KIND.keyDown, number: NUMBERS.Escape });
    this.tell({ kind: KIND.keyUp, number: NUMBERS.Escape });
  }

  /**
   * Show who plays, and what does not reach the game.
   * @param {string} [trouble] why not any more
   */
  show(trouble = "") {
    const { plays, state } = this;
    document.body.toggleAttribute("data-playing", plays);
    byId("play").setAttribute("aria-pressed", String(plays));
    byId("play").textContent = this.link && !plays ? "Asking" : plays ? "Playing" : "Play";
    byId("playing").hidden = !plays && !trouble;
    byId("give-back").hidden = byId("look").hidden = !plays;
    byId("look").setAttribute("aria-pressed", String(this.looks));
    byId("late-shift").hidden = !plays || !this.looks;
    if (this.shift.on && !(plays && this.looks)) this.shift.turn(false);
    byId("late-shift").setAttribute("aria-pressed", String(this.shift.on));
    byId("screen-pad").hidden = !plays || !matchMedia("(pointer: coarse)").matches;
    if (plays) this.pads.start();
    else this.pads.stop();
    const missing = plays && state.role === "all" ? Object.keys(MISSING).filter((part) => !state.can.includes(part)) : [];
    const waits = plays && this.looks && !document.pointerLockElement;
    const told = [
      trouble,
      plays && (state.role === "pads" ? "Your gamepad plays." : "You play."),
      waits && "Click the picture to look around; Escape frees the mouse.",
      plays && state.says && `${state.says.replace(/\.$/, "")}.`,
      plays && /as keys/.test(state.by) && this.pads.count > 0 && "Gamepads press keys here.",
      ...missing.map((part) => MISSING[part]),
      plays && this.unknown,
    ].filter(Boolean);
    const text = told.join(" ");
    if (byId("playing-text").textContent !== text) byId("playing-text").textContent = text;
  }

  /** Write how long presses took, by stage. */
  write() {
    const { presses } = this;
    byId("input-group").hidden = presses.length === 0;
    const say = (value) => (value === undefined ? "–" : value.toFixed(value < 10 ? 1 : 0));
    const both = (name) => {
      const values = presses.map((press) => press[name]);
      return `${say(part(values, 0.5))} ms, ${say(part(values, 0.99))} of 99 in 100`;
    };
    const change = (id, text) => {
      if (byId(id).textContent !== text) byId(id).textContent = text;
    };
    change("input-into", say(this.into));
    change("input-shown", say(part(presses.map(({ shown }) => shown), 0.5)));
    byId("input-group").title = [
      "From a key or button to the game, and to the first picture that was captured after it",
      `in the browser: ${both("here")}`,
      `on the way: ${both("way")}`,
      `into the game: ${both("inside")}`,
      `to a picture: ${both("shown")}`,
      this.shift.says,
    ].filter(Boolean).join("\n");
  }
}

/**
 * @param {(number | undefined)[]} values
 * @param {number} share
 * @returns {number | undefined} what this share of them is below
 */
function part(values, share) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  return sorted.at(Math.min(sorted.length - 1, Math.floor(share * sorted.length)));
}

/** @returns {string | null} by which one may play: from the address, where it does not stay */
function token() {
  const found = /^#play=([\w-]{8,128})$/.exec(location.hash)?.[1];
  try {
    if (found) sessionStorage.setItem(KEPT, found);
    if (found) history.replaceState(history.state, "", location.pathname + location.search);
    return found ?? sessionStorage.getItem(KEPT);
  } catch {
    return found ?? null; // a browser that keeps nothing
  }
}
