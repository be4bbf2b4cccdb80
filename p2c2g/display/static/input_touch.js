/**
 * Fingers: a tap clicks, a drag holds the button, two fingers click the other one; a stick and
 * buttons for phones are a gamepad.
 */

import { KIND } from "./input_wire.js";

/** @typedef {import("./input_wire.js").Did} Did */

const TAP_MS = 250;
const TAP_PX = 12;
/** How long a tap holds the button: some games look only now and then. */
const CLICK_MS = 50;
const LEFT = 0;
const RIGHT = 2;
/** Of the four pads the one on the screen; browsers number real ones from 0. */
const PAD = 3;
const REACH_PX = 48;

export class Touch {
  /**
   * @param {(did: Did) => void} tell
   * @param {(event: PointerEvent) => {x: number, y: number}} place in the picture
   */
  constructor(tell, place) {
    this.tell = tell;
    this.place = place;
    /** @type {Map<number, {x: number, y: number, at: number, drags: boolean}>} */
    this.fingers = new Map();
    this.clicked = false;
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.fingers.set(event.pointerId, {
      x: event.clientX,
      y: event.clientY,
      at: event.timeStamp,
      drags: false,
    });
    if (this.fingers.size === 1) this.tell({ kind: KIND.moveTo, ...this.place(event), at: event.timeStamp });
  }

  /** @param {PointerEvent} event */
  move(event) {
    const finger = this.fingers.get(event.pointerId);
    if (!finger || this.fingers.size > 1) return;
    const far = Math.hypot(event.clientX - finger.x, event.clientY - finger.y) > TAP_PX;
    if (!finger.drags && (far || event.timeStamp - finger.at > TAP_MS)) {
      finger.drags = true;
      this.tell({ kind: KIND.buttonDown, number: LEFT, at: event.timeStamp });
    }
    this.tell({ kind: KIND.moveTo, ...this.place(event), at: event.timeStamp });
  }

  /** @param {PointerEvent} event */
  up(event) {
    const finger = this.fingers.get(event.pointerId);
    const together = this.fingers.size;
    if (!finger || !this.fingers.delete(event.pointerId)) return;
    if (finger.drags) {
      this.tell({ kind: KIND.buttonUp, number: LEFT, at: event.timeStamp });
    } else if (event.type === "pointerup" && event.timeStamp - finger.at <= TAP_MS) {
      if (together === 2) this.click(RIGHT, event.timeStamp);
      else if (!this.clicked) this.click(LEFT, event.timeStamp);
    }
    this.clicked = this.fingers.size > 0;
  }

  /** @param {number} number @param {number} at */
  click(number, at) {
    this.tell({ kind: KIND.buttonDown, number, at });
    setTimeout(() => this.tell({ kind: KIND.buttonUp, number }), CLICK_MS);
  }

  clear() {
    this.fingers.clear();
    this.clicked = false;
  }
}

/** The stick and the buttons on the screen. */
export class ScreenPad {
  /**
   * @param {HTMLElement} stick
   * @param {Iterable<HTMLElement>} buttons each with data-pad, its number
   * @param {(did: Did) => void} tell
   */
  constructor(stick, buttons, tell) {
    const knob = stick.firstElementChild;
    const move = (x, y) => {
      knob.style.translate = `${x * REACH_PX}px ${y * REACH_PX}px`;
      tell({ kind: KIND.padAxis, number: 0, x, pad: PAD });
      tell({ kind: KIND.padAxis, number: 1, x: y, pad: PAD });
    };
    const follow = (event) => {
      const { left, top, width, height } = stick.getBoundingClientRect();
      const x = (event.clientX - left - width / 2) / REACH_PX;
      const y = (event.clientY - top - height / 2) / REACH_PX;
      const length = Math.max(1, Math.hypot(x, y));
      move(x / length, y / length);
    };
    stick.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      stick.setPointerCapture(event.pointerId);
      follow(event);
    });
    stick.addEventListener("pointermove", (event) => {
      event.stopPropagation();
      if (stick.hasPointerCapture(event.pointerId)) follow(event);
    });
    stick.addEventListener("lostpointercapture", () => move(0, 0));
    for (const button of buttons) {
      const press = (x) => tell({ kind: KIND.padButton, number: Number(button.dataset.pad), x, pad: PAD });
      button.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        event.stopPropagation();
        button.setPointerCapture(event.pointerId);
        press(1);
      });
      button.addEventListener("lostpointercapture", () => press(0));
    }
  }
}
