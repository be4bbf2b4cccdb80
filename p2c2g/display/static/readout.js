/** The readout: what the session reports, and what this browser really shows. */

/**
 * @typedef {import("./frames.js").Frame} Frame
 *
 * @typedef {object} Stats all of it is optional, and null while unknown
 * @property {number} [fps]
 * @property {{p50: number, p99: number}} [latency_ms]
 * @property {{complete: number, degraded: number, dropped: number}} [frames]
 * @property {{id: string, queue: string, chunks: number}[]} [peers]
 * @property {Record<string, number>} [methods] what peers ran, and of which share of the chunks
 * @property {{base: number, enhanced: number}} [psnr_db] by comparison with an original
 * @property {number} [mbps_up] megabits a second to the peers
 * @property {number} [mbps_down] and back
 */

const KEPT = 96;
const WINDOW_MS = 2000;
const REDRAW_MS = 250;
const FULL_SCALE_MS = 100;

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

export class Readout {
  constructor() {
    /** @type {{at: number, age: number, state: string}[]} the last frames shown */
    this.frames = [];
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
   * Show the session's statistics; a dash for each that is not there.
   * @param {Stats} stats
   */
  show(stats) {
    this.write("fps", say(tenth, stats.fps));
    this.write("p50", say(whole, stats.latency_ms?.p50));
    this.write("p99", say(whole, stats.latency_ms?.p99));
    for (const name of ["complete", "degraded", "dropped"]) {
      const count = stats.frames?.[name];
      this.write(name, say(whole, count));
      document.querySelector(`.is-${name}`).toggleAttribute("data-some", count > 0);
    }
    this.write("peers", say(whole, stats.peers?.length));
    document.getElementById("peers-group").title = (stats.peers ?? [])
      .map(({ id, queue, chunks }) => `${id} (${queue}): ${whole.format(chunks)} chunks`)
      .join("\n");
    this.write("up", say(tenth, stats.mbps_up));
    this.write("down", say(tenth, stats.mbps_down));
    document.getElementById("rate-group").hidden = stats.mbps_up === undefined;
    for (const name of ["base", "enhanced"]) {
      const found = stats.psnr_db?.[name];
      this.write(`${name}-db`, found === undefined ? "" : `${tenth.format(found)} dB`);
    }
    this.showMethods(Object.entries(stats.methods ?? {}));
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
   * Count a frame that was shown.
   * @param {Frame} frame
   * @param {number} now by performance.now()
   */
  shown(frame, now) {
    this.frames.push({ at: now, age: frame.age_ms + now - frame.arrivedAt, state: frame.state });
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
