/**
 * The game's sound, as the page has it: it begins and ends it, and says how late pictures are, which
 * a worklet plays it in time with.  A worker brings it there.
 */

import { PictureDelay, heldUntil } from "./synchrony.js";

const RATE = 48_000;
const TELL_EVERY_MS = 100;
/** Milliseconds by which the two clocks may jump apart before it is believed at once. */
const JUMP_MS = 30;
const RESUME_MS = 500;
/** What the browser's output is asked for at first, and where it does not keep up with that. */
const HINTS = [0, "interactive"];
/** Times that the output ran dry in so many milliseconds: it does not keep up. */
const MOST_DRY = 3;
const DRY_MS = 10_000;

/**
 * @typedef {object} SoundFigures
 * @property {number} offset_ms how much later the sound is than its picture
 * @property {number} ahead_ms what waits to be played
 * @property {number} needs_ms what it takes from its capture until it can be heard
 * @property {number} output_ms of that the browser's output, by its own account
 * @property {number} picture_ms what its picture takes from its capture until it is shown
 * @property {number} dry times that it had nothing to play
 * @property {number} lost packets
 *
 * @typedef {"off" | "on" | "blocked" | "impossible"} SoundState
 */

export class Sound {
  /**
   * @param {URL} url of its socket
   * @param {(state: SoundState) => void} changed
   * @param {() => boolean} mayHold whether pictures may wait for their sound
   */
  constructor(url, changed, mayHold) {
    this.url = url;
    this.changed = changed;
    this.mayHold = mayHold;
    this.delay = new PictureDelay();
    /** @type {SoundState} */
    this.state = "off";
    this.isWanted = false;
    /** What is to be added to the session's clock for this page's; null while unknown. */
    this.offset = null;
    this.lost = 0;
    this.told = { error: 0, behind: 0, needs: 0, ahead: 0, dry: 0 };
    this.hint = 0; // of HINTS
    /** @type {{at: number, events: number}} when the output was looked at, and its dry times */
    this.output = { at: -Infinity, events: 0 };
    /** performance.now() less the context's own time, in ms. */
    this.ahead = null;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {Worker | null} */
    this.worker = null;
    setInterval(() => this.tellTime(), TELL_EVERY_MS);
  }

  /** Begin, or end; a browser lets sound begin with a click only. */
  async toggle() {
    this.isWanted = !this.isWanted;
    if (!this.isWanted) return this.stop();
    try {
      if (!this.context) await this.prepare();
    } catch {
      this.isWanted = false;
      return this.say("impossible");
    }
    // Where the browser holds it back, this never comes.
    await Promise.race([
      this.context.resume(),
      new Promise((done) => setTimeout(done, RESUME_MS)),
    ]);
    if (!this.isWanted) return;
    this.delay.forget();
    this.worker.postMessage({ url: this.url.href });
    this.say(this.context.state === "running" ? "on" : "blocked");
  }

  async prepare() {
    if (!("AudioDecoder" in globalThis)) throw new Error("There is no decoder.");
    const worker = new Worker(new URL("sound-worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      this.offset = data.offset;
      this.lost = data.lost;
    };
    this.worker = worker;
    // The smallest only where the browser says whether it keeps up with that.
    this.hint = "playbackStats" in AudioContext.prototype ? 0 : HINTS.length - 1;
    await this.begin();
  }

  /** Begin an output, in place of an earlier one. */
  async begin() {
    const context = new AudioContext({ sampleRate: RATE, latencyHint: HINTS[this.hint] });
    await context.audioWorklet.addModule(new URL("sound-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "sound-player", {
      numberOfInputs: 0,
      outputChannelCount: [2],
    });
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage({ port: port1 }, [port1]);
    this.worker.postMessage({ port: port2, timeOrigin: performance.timeOrigin }, [port2]);
    node.port.onmessage = ({ data }) => {
      if (this.context === context) this.told = data;
    };
    context.addEventListener("statechange", () => {
      if (this.context !== context || !this.isWanted) return;
      this.say(context.state === "running" ? "on" : "blocked");
    });
    node.connect(context.destination);
    this.context?.close();
    this.context = context;
    this.ahead = null;
    this.output = { at: -Infinity, events: 0 };
  }

  /** Give an output that does not keep up with so small a store a larger one. */
  look() {
    const events = this.context.playbackStats?.underrunEvents ?? 0; // Chromium alone has them
    const now = performance.now();
    if (now - this.output.at < DRY_MS) return;
    const isDry = events - this.output.events >= MOST_DRY && Number.isFinite(this.output.at);
    this.output = { at: now, events };
    if (!isDry || this.hint === HINTS.length - 1) return;
    this.hint += 1;
    this.begin().then(() => (this.isWanted ? this.context.resume() : this.context.suspend()));
  }

  stop() {
    this.worker?.postMessage({ stop: true });
    this.context?.suspend();
    this.say("off");
  }

  /** Tell the worklet how this page's clock and its own are apart, and the delay of the pictures. */
  tellTime() {
    if (this.state !== "on") return;
    this.look();
    const { context } = this;
    const stamp = context.getOutputTimestamp();
    // What is rendered now is heard after what is on its way out already.
    const ahead = stamp.performanceTime
      ? stamp.performanceTime - stamp.contextTime * 1000
      : performance.now() + (context.outputLatency ?? 0) * 1000 - context.currentTime * 1000;
    const isFar = this.ahead === null || Math.abs(ahead - this.ahead) > JUMP_MS;
    this.ahead = isFar ? ahead : this.ahead + 0.1 * (ahead - this.ahead);
    this.worker.postMessage({ clock: this.ahead, delay: this.delay.value });
  }

  /**
   * A picture was shown.
   * @param {number} captured_ms by the session's clock
   * @param {number} now
   */
  shown(captured_ms, now) {
    if (this.offset !== null) this.delay.shown(now - captured_ms - this.offset);
  }

  /**
   * Return until when a picture that could be shown waits for its sound: not after now where not.
   * @param {{captured_ms: number, readyAt?: number}} frame
   * @param {number} now
   */
  heldUntil(frame, now) {
    frame.readyAt ??= now;
    if (this.state !== "on" || this.offset === null || !this.mayHold()) return now;
    return heldUntil(frame.captured_ms + this.offset + this.told.needs, frame.readyAt);
  }

  /** @returns {SoundFigures | null} */
  get figures() {
    if (this.state !== "on") return null;
    const { error, behind, ahead, needs, dry } = this.told;
    return {
      offset_ms: error + behind,
      ahead_ms: ahead,
      needs_ms: needs,
      output_ms: (this.context.outputLatency ?? 0) * 1000,
      picture_ms: this.delay.value ?? 0,
      dry,
      lost: this.lost,
    };
  }

  /** @param {SoundState} state */
  say(state) {
    if (state === this.state) return;
    this.state = state;
    this.changed(state);
  }
}
