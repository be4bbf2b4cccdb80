// The peer's own page: asks once a second what the peer does, and shows it.

import { Limits } from "./limits.js";

const EVERY = 1000;
/** Looks that the picture of the last minutes has. */
const LOOKS = 120;
const WORDS = {
  starting: "Waits for the pool",
  ready: "Ready",
  working: "Works",
  paused: "Paused",
  draining: "Leaves",
  ended: "Has left",
  away: "Not running",
};

const by = (id) => document.getElementById(id);
const rates = [];
const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
let paused = false;
/** Changes that were asked for, and that were answered: what was seen before is old. */
let changes = 0;

function put(id, text) {
  const element = by(id);
  if (element.textContent !== text) element.textContent = text;
}

const known = (value, words) => (value === null || value === undefined ? "unknown" : words(value));
const percent = (share) => known(share, (value) => `${Math.round(100 * value)} %`);

function span(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 60 * 48) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

function doing(state) {
  const last = state.last_chunk === null ? "" : ` The last chunk was done at ${clock.format(1000 * state.last_chunk)}.`;
  switch (state.word) {
    case "starting":
      return "It waits until the pool's broker answers.";
    case "paused":
      return `It takes no work: ${state.why || "no reason is given"}.${last}`;
    case "draining":
      return "It finishes what it has, and leaves.";
    case "ended":
      return "It has left the pool in good order.";
    case "working":
      return "It enhances pictures for gamers.";
    default:
      return `It is ready; nobody sends work now.${last}`;
  }
}

function draw() {
  const canvas = by("history");
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const most = Math.max(1, ...rates);
  const step = width / (LOOKS - 1);
  const first = LOOKS - rates.length;
  context.clearRect(0, 0, width, height);
  context.fillStyle = "rgb(255 255 255 / 12%)";
  context.fillRect(0, height - 1, width, 1);
  if (rates.length < 2) return;
  context.beginPath();
  rates.forEach((rate, at) => context.lineTo((first + at) * step, height - 2 - (height - 6) * rate / most));
  context.strokeStyle = "#8be0b4";
  context.lineWidth = 2;
  context.stroke();
  context.lineTo(width, height - 1);
  context.lineTo(first * step, height - 1);
  context.fillStyle = "rgb(139 224 180 / 14%)";
  context.fill();
}

function row(chunk) {
  const line = document.createElement("tr");
  const cells = [
    clock.format(1000 * chunk.at),
    `${number.format(1000 * chunk.seconds)} ms`,
    `${number.format(chunk.size / 1024)} KiB`,
    chunk.whose ? chunk.whose.slice(0, 8) : "–",
  ];
  for (const text of cells) line.appendChild(document.createElement("td")).textContent = text;
  return line;
}

function entry(line) {
  const item = document.createElement("li");
  item.dataset.level = line.level;
  const time = document.createElement("time");
  time.textContent = clock.format(1000 * line.at);
  item.appendChild(time);
  if (line.level !== "INFO") {
    const level = document.createElement("b");
    level.textContent = line.level.toLowerCase();
    item.appendChild(level);
  }
  item.append(line.text);
  return item;
}

/** Put rows in place of others, and only where they have changed: a reader keeps its place. */
function fill(id, items, make, none) {
  const place = by(id);
  const text = JSON.stringify(items);
  if (place.dataset.shown === text) return;
  place.dataset.shown = text;
  if (items.length) place.replaceChildren(...items.map(make));
  else place.replaceChildren(none());
}

function empty(tag, text) {
  const element = document.createElement(tag);
  if (tag === "tr") {
    const cell = element.appendChild(document.createElement("td"));
    cell.colSpan = 4;
    cell.textContent = text;
  } else element.textContent = text;
  return element;
}

function tell(sentence) {
  put("notice", sentence);
  by("notice").hidden = !sentence;
}

function word(name) {
  put("word", WORDS[name] ?? name);
  by("word").dataset.word = name;
}

function show(told) {
  const { state, machine } = told;
  word(state.word);
  put("name", state.label || state.name || "This peer");
  put("version", `${state.name}, P2C2G ${state.version}, ${told.slots} ${told.slots === 1 ? "chunk" : "chunks"} at once on ${told.cores} ${told.cores === 1 ? "core" : "cores"}`);
  put("doing", doing(state));
  put("rate", number.format(state.rate));
  put("gamers", known(state.gamers, String));
  put("chunks", number.format(state.chunks));
  put("uptime", span(state.written - state.started));
  put("total", number.format(state.total));
  put("worked", span(state.worked));
  put("cpu-used", percent(machine.cpu));
  put("cpu-own", percent(machine.own));
  put("temperature", known(machine.temperature, (value) => `${Math.round(value)} °C`));
  put("card", machine.card === null ? "none that can be asked" : [
    machine.card.name, percent(machine.card.load),
    known(machine.card.temperature, (value) => `${Math.round(value)} °C`),
  ].join(", "));
  put("carried", `${number.format(machine.up)} up, ${number.format(machine.down)} down, Mbit/s`);
  put("memory", known(machine.memory, (value) => `${Math.round(value / 1048576)} MiB`));
  rates.push(state.rate);
  if (rates.length > LOOKS) rates.shift();
  draw();
  paused = Boolean(told.paused);
  const button = by("pause");
  button.disabled = false;
  button.setAttribute("aria-pressed", String(paused));
  put("pause", paused ? "Resume" : "Pause");
  put("limits-said", told.kept
    ? "Limits hold at once, and are kept in peer.toml."
    : "Limits hold at once, until this peer ends.");
  limits.show(told.limits);
  fill("recent", told.recent, row, () => empty("tr", "None yet."));
  fill("log", told.log, entry, () => empty("li", "Nothing yet."));
}

async function answered(response) {
  if (response.ok) return response.json();
  const text = await response.text();
  let sentence = text;
  try {
    sentence = JSON.parse(text).detail ?? text;
  } catch {
    // A sentence as it is.
  }
  throw new Error(sentence.trim() || `The peer answers ${response.status}.`);
}

async function ask() {
  const before = changes;
  let response;
  try {
    response = await fetch("state", { cache: "no-store" });
  } catch {
    word("away");
    put("doing", "It does not answer: it is not running, or starts again. This page goes on asking.");
    by("pause").disabled = true;
    return;
  }
  try {
    const told = await answered(response);
    if (changes !== before) return;
    show(told);
    tell("");
  } catch (error) {
    tell(error.message);
  }
}

async function change(what, wanted = {}) {
  changes += 1;
  try {
    const response = await fetch(what, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wanted),
    });
    const told = await answered(response);
    changes += 1;
    show(told);
    tell("");
  } catch (error) {
    limits.forget();
    tell(error instanceof TypeError ? "The peer does not answer." : error.message);
  }
}

const limits = new Limits((changes) => change("limits", changes));
by("pause").addEventListener("click", () => change(paused ? "resume" : "pause"));
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key.toLowerCase() !== "p" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!by("pause").disabled) by("pause").click();
});

async function run() {
  for (;;) {
    await ask();
    await new Promise((done) => setTimeout(done, EVERY));
  }
}

run();
