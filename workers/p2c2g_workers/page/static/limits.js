// What may be used of this machine: sliders, which show and change what peer.toml says.

/** Megabits a second of each step of the line's slider; the last, 0, is all of it. */
const STEPS = [
  0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250,
  300, 400, 500, 600, 800, 1000, 0,
];
/** Milliseconds of rest after which what was moved is sent. */
const REST = 250;

const by = (id) => document.getElementById(id);
const controls = {
  cpu: by("cpu"), line: by("line"), from: by("from"), to: by("to"), idle: by("idle"),
};
/** Which setting each control changes. */
const SETTINGS = {
  cpu: "max_cpu", line: "max_mbps", from: "hours", to: "hours", idle: "only_idle",
};

/** The step of the line's slider that is nearest to so many megabits a second. */
function stepOf(mbps) {
  if (!mbps) return STEPS.length - 1;
  const far = (step) => Math.abs(Math.log(STEPS[step] / mbps));
  let best = 0;
  for (let step = 1; step < STEPS.length - 1; step += 1) if (far(step) < far(best)) best = step;
  return best;
}

/** A share such as "50%" or "0.5" in percent; 100 where there is none. */
function percentOf(share) {
  return (share.includes("%") ? 1 : 100) * parseFloat(share) || 100;
}

/** Hours such as "22-7" as two whole hours; the whole day where there are none. */
function hoursOf(text) {
  const found = /^(\d+)(?::\d+)?-(\d+)(?::\d+)?$/.exec(text);
  return found ? [Number(found[1]), Number(found[2]) || 24] : [0, 24];
}

export class Limits {
  /** ``send(changes)`` is called a moment after somebody has moved something. */
  constructor(send) {
    this.send = send;
    this.shown = "";
    this.waiting = {};
    this.timer = 0;
    for (const [name, control] of Object.entries(controls)) {
      control.addEventListener("input", () => this.moved(name));
    }
    by("limits-form").addEventListener("submit", (event) => event.preventDefault());
  }

  /** Show what holds, but not under somebody's hand. */
  show(limits) {
    const text = JSON.stringify(limits);
    if (this.timer || text === this.shown) return;
    this.shown = text;
    [controls.from.value, controls.to.value] = hoursOf(limits.hours);
    controls.cpu.value = percentOf(limits.max_cpu);
    controls.line.value = stepOf(limits.max_mbps);
    controls.idle.checked = limits.only_idle;
    for (const control of Object.values(controls)) control.disabled = false;
    this.say(limits);
  }

  /** Show what the peer says next, whatever was shown before. */
  forget() {
    this.shown = "";
  }

  moved(name) {
    const { from, to } = controls;
    if (SETTINGS[name] === "hours" && Number(from.value) === Number(to.value) % 24) {
      // The same hour twice is the whole day.
      from.value = 0;
      to.value = 24;
    }
    const cpu = Number(controls.cpu.value);
    const whole = Number(from.value) === Number(to.value) % 24;
    const wanted = {
      max_cpu: cpu === 100 ? "" : `${cpu}%`,
      max_mbps: STEPS[controls.line.value],
      hours: whole ? "" : `${from.value}-${to.value}`,
      only_idle: controls.idle.checked,
    };
    this.say(wanted);
    const setting = SETTINGS[name];
    this.waiting[setting] = wanted[setting];
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.rest(), REST);
  }

  async rest() {
    const { timer, waiting } = this;
    this.waiting = {};
    await this.send(waiting);
    // Moved again meanwhile: that is sent, too, and on its way perhaps.
    if (this.timer === timer) this.timer = 0;
  }

  /** Say in words what holds; a slider's value is the same words to who hears it. */
  say(limits) {
    const [from, to] = limits.hours ? limits.hours.split("-") : ["", ""];
    const said = {
      cpu: limits.max_cpu ? `${percentOf(limits.max_cpu)} % at most` : "all of it",
      line: limits.max_mbps ? `${limits.max_mbps} Mbit/s at most` : "all of it",
      from: from ? `${from} o'clock` : "always",
      to: to ? `${to} o'clock` : "always",
    };
    for (const [name, words] of Object.entries(said)) {
      by(`${name}-said`).textContent = words;
      controls[name].setAttribute("aria-valuetext", words);
    }
  }
}
