/**
 * Plays packets of sound at their time: a sample is due when its picture is shown.
 *
 * Small differences are made up for by playing up to 0.5 % faster or slower, large ones by a jump
 * with a short fade.  What is missing is concealed by what came before it, fading, then by silence.
 */

/** Fastest correction; more could be heard. */
const MOST_BENT = 0.005;
/** Seconds in which a difference is to be made up for. */
const EASE_S = 2;
/** Milliseconds of difference that are let be, and those from which it jumps. */
const NEAR_MS = 1;
const JUMP_MS = 45;
/** Milliseconds of a fade, and of what is missing that is concealed. */
const FADE_MS = 4;
const CONCEALED_MS = 40;
/** Milliseconds between two packets from which something is missing there. */
const GAP_MS = 5;
/** Samples kept of what was played: more than are concealed. */
const HISTORY = 2048;
/** Milliseconds kept: of what waits, and of what was played (for concealing). */
const KEPT_MS = 2000;
/** Milliseconds by which packets should be there before they are due. */
const SPARE_MS = 4;
/** Packets whose way says how late the sound can be played: three seconds of them... */
const LOOKED_AT = 150;
/** ...of which so large a share is to be in time, and how often that is found. */
const IN_TIME = 0.98;
const LOOK_EVERY = 12;
/** The most that the sound is later than its picture, and how fast its way shortens, in ms a look. */
const MOST_BEHIND_MS = 300;
const BACK_MS = 1;
const REPORT_EVERY = 128; // quanta: a third of a second

class SoundPlayer extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {{at: number, left: Float32Array, right: Float32Array}[]} by time, without overlap */
    this.blocks = [];
    this.block = 0; // where it reads: the block, and the sample in it with a fraction
    this.sample = 0;
    /** performance.now() of a moment, less currentTime of it, in ms; what is sent tells */
    this.clock = null;
    this.delay = null;
    /** What the sound takes from its capture until it can be heard, in ms. */
    this.needs = 0;
    /** @type {number[]} the same of single packets, without what is spare */
    this.ways = [];
    this.arrivals = 0;
    /** Whether the next sample follows the one before; else it waits until it is due. */
    this.isGoing = false;
    this.gain = 0;
    this.history = [new Float32Array(HISTORY), new Float32Array(HISTORY)];
    this.historyAt = 0;
    this.missing = Infinity; // samples that were concealed in a row
    this.quanta = 0;
    this.dry = 0;
    this.jumps = 0;
    this.error = 0;
    this.port.onmessage = ({ data }) => {
      data.port.onmessage = (message) => this.heard(message.data);
    };
  }

  heard(data) {
    if (data.forget) {
      this.blocks = [];
      this.block = this.sample = 0;
      this.needs = 0;
      this.ways = [];
    } else if (data.left) {
      this.blocks.push(data);
      this.drop();
      this.look(data);
    } else {
      this.clock = data.clock;
      this.delay = data.delay;
    }
  }

  /** How long packets take says how soon the sound can be played. */
  look(block) {
    if (this.clock === null) return;
    this.ways.push(currentTime * 1000 + this.clock - block.at);
    if (this.ways.length > LOOKED_AT) this.ways.shift();
    this.arrivals += 1;
    if (this.arrivals % LOOK_EVERY) return;
    const sorted = this.ways.toSorted((a, b) => a - b);
    const needed = sorted[Math.floor((sorted.length - 1) * IN_TIME)] + SPARE_MS;
    const isNear = needed < this.needs && this.needs - needed < JUMP_MS;
    this.needs = isNear ? Math.max(needed, this.needs - BACK_MS) : needed;
  }

  /** How much later than its picture the sound is played, where it cannot be there with it. */
  get behind() {
    return Math.max(0, Math.min(MOST_BEHIND_MS, this.needs - this.delay));
  }

  /** Forget what is old: played, or too much. */
  drop() {
    const span = () => this.blocks.at(-1).at - this.blocks[0].at;
    while (this.blocks.length > 1 && (this.block > 2 || span() > KEPT_MS)) {
      this.blocks.shift();
      this.block -= 1;
      if (this.block < 0) this.block = this.sample = 0;
    }
  }

  /** The time of the capture, in ms of performance.now(), of the sample that is read next. */
  get position() {
    const block = this.blocks[this.block];
    return block ? block.at + (this.sample / sampleRate) * 1000 : null;
  }

  get end() {
    const last = this.blocks.at(-1);
    return last ? last.at + (last.left.length / sampleRate) * 1000 : -Infinity;
  }

  /** Read on from a time, from the next one that there is, or from the next block that comes. */
  seek(at) {
    let index = this.blocks.findIndex(
      (block) => at < block.at + (block.left.length / sampleRate) * 1000,
    );
    if (index < 0) index = this.blocks.length;
    this.block = index;
    const block = this.blocks[index];
    this.sample = block ? Math.max(0, ((at - block.at) * sampleRate) / 1000) : 0;
    this.isGoing = false;
    this.jumps += 1;
  }

  process(_, [output]) {
    const [left, right] = [output[0], output[1] ?? output[0]];
    if (this.clock === null || this.delay === null || this.blocks.length === 0) return true;
    const due = currentTime * 1000 + this.clock - this.delay - this.behind;
    let position = this.position;
    if (position === null) {
      this.dry += 1;
    } else if (Math.abs(due - position) > JUMP_MS) {
      this.seek(due);
      position = this.position;
    }
    this.error = position === null ? 0 : due - position;
    const bend = Math.abs(this.error) < NEAR_MS ? 0 : this.error / 1000 / EASE_S;
    const step = 1 + Math.max(-MOST_BENT, Math.min(MOST_BENT, bend));
    const fade = 1 / ((FADE_MS / 1000) * sampleRate);
    for (let i = 0; i < left.length; i += 1) {
      const block = this.blocks[this.block];
      const isEarly = block && !this.isGoing && this.position > due + (i / sampleRate) * 1000;
      if (!block || isEarly) {
        this.conceal(left, right, i);
        continue;
      }
      if (this.missing > 0 || !this.isGoing) this.gain = 0;
      this.isGoing = true;
      this.missing = 0;
      this.gain = Math.min(1, this.gain + fade);
      const at = Math.floor(this.sample);
      const part = this.sample - at;
      const isLast = at + 1 >= block.left.length;
      const next = (isLast && this.blocks[this.block + 1]) || block;
      const then = next === block ? Math.min(at + 1, block.left.length - 1) : 0;
      left[i] = this.gain * (block.left[at] * (1 - part) + next.left[then] * part);
      right[i] = this.gain * (block.right[at] * (1 - part) + next.right[then] * part);
      this.historyAt = (this.historyAt + 1) % HISTORY;
      this.history[0][this.historyAt] = left[i];
      this.history[1][this.historyAt] = right[i];
      this.sample += step;
      if (this.sample >= block.left.length) this.turn(block);
    }
    this.report();
    return true;
  }

  /** Go on to the next block, or wait for its time where something is missing before it. */
  turn(block) {
    this.sample -= block.left.length;
    this.block += 1;
    const after = this.blocks[this.block];
    const ended = block.at + (block.left.length / sampleRate) * 1000;
    if (after && after.at - ended > GAP_MS) {
      this.sample = 0;
      this.isGoing = false;
    }
  }

  /** Conceal what is missing by what was played last, backwards and fading: without a click. */
  conceal(left, right, i) {
    const most = (CONCEALED_MS / 1000) * sampleRate;
    if (this.missing < most) {
      const at = (this.historyAt - this.missing + HISTORY) % HISTORY;
      const loud = 1 - this.missing / most;
      left[i] = this.history[0][at] * loud;
      right[i] = this.history[1][at] * loud;
    }
    this.missing += 1;
  }

  report() {
    this.quanta += 1;
    if (this.quanta % REPORT_EVERY) return;
    this.port.postMessage({
      error: this.error, behind: this.behind, needs: this.needs, ahead: this.end - (this.position ?? this.end),
      dry: this.dry, jumps: this.jumps,
    });
  }
}

registerProcessor("sound-player", SoundPlayer);
