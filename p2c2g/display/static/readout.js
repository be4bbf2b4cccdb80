/** The readout: what the session reports, and what this browser really shows. */

/**
 * @typedef {import("./frames.js").Frame} Frame
 *
 * @typedef {{mbps: number, used: number}} Limit in megabits a second, and the share used of late
 *
 * @typedef {object} Stats all of it is optional, and null while unknown
 * @property {number} [fps]
 * @property {{p50: number, p99: number}} [latency_ms]
 * @property {{complete: number, degraded: number, dropped: number}} [frames]
 * @property {{id: string, queue: string, chunks: number}[]} [peers]
 * @property {Record<string, number>} [methods] what peers ran, and of which share of the chunks
 * @property {{base: number, enhanced: number}} [psnr_db] by comparison with an original
 * @property {Watching} [watching] others, by an open pool's page
 * @property {number} [carried_ms] where pictures do not wait: how old what peers added is
 * @property {number} [mbps_up] megabits a second to the peers
 * @property {number} [mbps_down] and back
 * @property {{up?: Limit, down?: Limit}} [limits] what the gamer allows of the line
 * @property {{up: Direction, down: Direction}} [line] the gamer's own
 * @property {{state: string, chunks: number, of: number}} [steady] what is given up, and how many
 *   chunks of a frame are enhanced
 * @property {number} [flicker] changes of a chunk between enhanced and own, a second
 * @property {number} [known] of which share of the picture nothing had to travel
 *
 * @typedef {object} Direction one direction of a line
 * @property {"unknown" | "normal" | "overuse" | "underuse"} state
 * @property {number | null} target_mbps what it carries without a queue that grows
 * @property {number} rise_ms how long things wait in it
 *
 * @typedef {object} Watching who watches by an open pool's page
 * @property {number} viewers
 * @property {[number, number] | null} [delay_ms] from the coordinator to a screen and back, of half
 *   of the pictures and of 99 of 100
 * @property {number | null} [way_ms] from the session to this browser at most
 */

const KEPT = 96;
const WINDOW_MS = 2000;
const REDRAW_MS = 250;
const FULL_SCALE_MS = 100;

/** What a line does, in a word, from the least to the most of a trouble. */
const LINE_STATES = { unknown: "", normal: "clear", underuse: "draining", overuse: "full" };

/** What is given up where there is too little of anything, in a word. */
const STEADY_STATES = {
  all: "whole",
  plainer: "plainer",
  coarser: "coarser",
  part: "in part",
  seldom: "now and then",
};

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/**
 * @param {Intl.NumberFormat} format
 * @param {unknown} value
 * @returns {string} a dash where there is no number
 */
function say(format, value) {
  return typeof value === "number" ? format.format(value) : "–";
}

/**
 * @param {number | undefined} mbps
 * @param {Limit | undefined} limit
 * @returns {string} with what is allowed, where that is limited
 */
function used(mbps, limit) {
  return limit === undefined ? say(tenth, mbps) : `${say(tenth, mbps)} of ${limit.mbps}`;
}

export class Readout {
  constructor() {
    /** @type {{at: number, age: number, state: string}[]} the last frames shown */
    this.frames = [];
    this.way_ms = 0;
    this.canvas = document.getElementById("history");
    this.context = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    this.colours = {
      complete: style.getPropertyValue("--complete"),
      degraded: style.getPropertyValue("--degraded"),
    };
    setInterval(() => this.redraw(performance.now()), REDRAW_MS);
  }

  /**
   * Show how the sound is; null where none is played.
   * @param {import("./sound.js").SoundFigures | null} figures
   */
  sound(figures) {
    document.getElementById("sound-group").hidden = figures === null;
    this.write("sound-offset", say(whole, figures?.offset_ms));
    this.write("sound-ahead", say(whole, figures?.ahead_ms));
  }

  /**
   * Show the session's statistics; a dash for each that is not there.
   * @param {Stats} stats
   */
  show(stats) {
    this.write("fps", say(tenth, stats.fps));
    this.write("p50", say(whole, stats.latency_ms?.p50));
    this.write("p99", say(whole, stats.latency_ms?.p99));
    this.write("carried", say(whole, stats.carried_ms));
    document.getElementById("carried-group").hidden = stats.carried_ms === undefined;
    for (const name of ["complete", "degraded", "dropped"]) {
      const count = stats.frames?.[name];
      this.write(name, say(whole, count));
      document.querySelector(`.is-${name}`).toggleAttribute("data-some", count > 0);
    }
    this.write("peers", say(whole, stats.peers?.length));
    document.getElementById("peers-group").title = (stats.peers ?? [])
      .map(({ id, queue, chunks }) => `${id} (${queue}): ${whole.format(chunks)} chunks`)
      .join("\n");
    this.write("up", used(stats.mbps_up, stats.limits?.up));
    this.write("down", used(stats.mbps_down, stats.limits?.down));
    document.getElementById("rate-group").hidden = stats.mbps_up === undefined;
    this.showLine(stats.line);
    this.showSteady(stats);
    this.write("known", stats.known ? `${whole.format(100 * stats.known)} % known` : "");
    for (const name of ["base", "enhanced"]) {
      const found = stats.psnr_db?.[name];
      this.write(`${name}-db`, found === undefined ? "" : `${tenth.format(found)} dB`);
    }
    this.showMethods(Object.entries(stats.methods ?? {}));
    if (stats.watching) this.watching(stats.watching);
  }

  /**
   * Show how many watch by an open pool's page; there is nothing to show elsewhere.
   * @param {Watching} figures
   */
  watching({ viewers, delay_ms, way_ms }) {
    document.getElementById("watching-group").hidden = false;
    this.write("viewers", say(whole, viewers));
    this.write("delay", delay_ms ? `${whole.format(delay_ms[0])} ms` : "");
    this.way_ms = way_ms ?? 0;
  }

  /**
   * Show what the peers ran most, and all of it where one looks closer.
   * @param {[string, number][]} methods
   */
  showMethods(methods) {
    const shares = methods
      .sort(([, one], [, other]) => other - one)
      .map(([name, share]) => [name, `${whole.format(100 * share)} %`]);
    const group = document.getElementById("methods-group");
    group.hidden = shares.length === 0;
    group.title = `What the peers ran\n${shares.map((each) => each.join(": ")).join("\n")}`;
    this.write("method", shares[0]?.[0] ?? "–");
    this.write("method-share", shares.length > 1 ? shares[0][1] : "");
  }

  /**
   * Show how the line is in the direction that is worse, and both where one looks closer.
   * @param {{up: Direction, down: Direction} | undefined} line
   */
  showLine(line) {
    const words = Object.keys(LINE_STATES);
    const ways = [
      ["↑", line?.up],
      ["↓", line?.down],
    ].filter(([, way]) => way && way.state !== "unknown");
    const [worst] = ways
      .map(([, way]) => way)
      .sort((one, other) => words.indexOf(other.state) - words.indexOf(one.state));
    this.write("line", worst ? LINE_STATES[worst.state] : "");
    document.getElementById("rate-group").title = [
      "Pictures to the peers and what they send back, in megabits a second",
      ...ways.map(([arrow, way]) => {
        const most = way.target_mbps === null ? "" : `, ${tenth.format(way.target_mbps)} at most`;
        return `${arrow} ${LINE_STATES[way.state]}: ${whole.format(way.rise_ms)} ms of waiting${most}`;
      }),
    ].join("\n");
  }

  /**
   * Show what is given up where there is too little of anything; nothing where all is enhanced.
   * @param {Stats} stats
   */
  showSteady({ steady, flicker }) {
    const group = document.getElementById("steady-group");
    group.hidden = !steady || steady.state === "all";
    if (group.hidden) return;
    this.write("steady", STEADY_STATES[steady.state] ?? steady.state);
    this.write("steady-part", steady.chunks < steady.of ? `${steady.chunks} of ${steady.of}` : "");
    group.title = `What is given up, and how much of the picture is enhanced\n${say(tenth, flicker)} changes between enhanced and own a second, a part of the picture`;
  }

  /**
   * Count a frame that was shown.
   * @param {Frame} frame
   * @param {number} now by performance.now()
   */
  shown(frame, now) {
    const age = frame.age_ms + this.way_ms + now - frame.arrivedAt;
    this.frames.push({ at: now, age, state: frame.state });
    if (this.frames.length > 4 * KEPT) this.frames.splice(0, this.frames.length - 4 * KEPT);
  }

  /** @param {number} now */
  redraw(now) {
    const recent = this.frames.filter((frame) => frame.at > now - WINDOW_MS);
    const span = recent.length > 1 ? recent.at(-1).at - recent[0].at : 0;
    this.write("shown-fps", tenth.format(span > 0 ? ((recent.length - 1) * 1000) / span : 0));
    const ages = recent.map((frame) => frame.age).sort((a, b) => a - b);
    this.write("shown-age", ages.length > 0 ? whole.format(ages[ages.length >> 1]) : "–");
    this.drawHistory();
  }

  /** One bar a frame, newest on the right: as high as the frame was old. */
  drawHistory() {
    const { width, height } = this.canvas;
    const step = width / KEPT;
    this.context.clearRect(0, 0, width, height);
    this.frames.slice(-KEPT).forEach(({ age, state }, index, kept) => {
      const bar = Math.max(2, Math.min(1, age / FULL_SCALE_MS) * height);
      this.context.fillStyle = this.colours[state] ?? this.colours.degraded;
      this.context.fillRect(width - (kept.length - index) * step, height - bar, step - 1, bar);
    });
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  write(id, text) {
    const element = document.getElementById(id);
    if (element.textContent !== text) element.textContent = text;
  }
}
