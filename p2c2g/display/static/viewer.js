/** The viewer's page: wires the link, the stage, the controls and the readout. */

import { Comparison } from "./comparison.js";
import { closeAll, decodeFrame, readFrame } from "./frames.js";
import { Games } from "./games.js";
import { Player } from "./input.js";
import { Link } from "./link.js";
import { Microphone } from "./microphone.js";
import { Readout } from "./readout.js";
import { Sound } from "./sound.js";
import { Stage } from "./stage.js";

/** @typedef {import("./frames.js").Frame} Frame */

const STALL_MS = 1000;
const FAILURE_SHOWN_MS = 3000;
/** Pictures that may wait for their sound. */
const MOST_HELD = 12;
/** What the enhanced half is called where no peer has made it. */
const MADE_BY = { here: "Enhanced here", nobody: "Not enhanced" };

const byId = (id) => document.getElementById(id);
// For tests, and for those whose card draws wrongly: ?composer=software or ?composer=off.
const composer = new URLSearchParams(location.search).get("composer");
const stage = new Stage(byId("screen"), byId("drawn"), () => link.say(stage.wish), composer ?? "card");
const readout = new Readout();
const player = new Player(byId("picture"));
const games = new Games(player);

/**
 * Frames on their way to the screen, oldest first.  The session keeps it to two, besides those that
 * wait for their sound.
 * @type {{frame: Frame, decoded: import("./frames.js").Decoded | null, failed: boolean}[]}
 */
let queue = [];
let flipping = 0;
/** @type {import("./composer.js").Terms | null} */
let terms = null;
let lastNumber = -1;
let shownNumber = -1;
let lastShownAt = 0;
let failedAt = -Infinity;
/** @type {"connecting" | "live" | "lost" | "refused" | "ended"} */
let state = "connecting";
let closeReason = "";
let advice = ""; // what the session says of its source

// Beside the page, wherever a proxy has put it.
const address = new URL("ws", location.href);
address.protocol = location.protocol.replace("http", "ws");

const soundAddress = new URL("sound", location.href);
soundAddress.protocol = address.protocol;
// A picture waits for its sound where nobody plays by it; ?hold=on or ?hold=off says it once for all.
const hold = new URLSearchParams(location.search).get("hold");
const sound = new Sound(soundAddress, showSound, () => hold === "on" || (hold !== "off" && !player.plays));
const microphoneAddress = new URL("microphone", location.href);
microphoneAddress.protocol = address.protocol;
const microphone = new Microphone(microphoneAddress, showMicrophone);


const link = new Link(address, {
  open() {
    clearQueue();
    lastNumber = shownNumber = -1;
    lastShownAt = performance.now();
    stage.forget();
    link.say(stage.wish);
    setState("live");
    games.sessionBegan();
  },
  picture: receive,
  terms(next) {
    terms = next;
  },
  stats(stats) {
    advice = stats.notice ?? "";
    byId("sound").hidden = stats.sound === undefined;
    byId("microphone").hidden = stats.microphone === undefined;
    byId("games").hidden = !stats.games || !player.token;
    nameEnhanced(MADE_BY[stats.by] ?? "With peers");
    readout.show(stats);
  },
  watching(figures) {
    readout.watching(figures);
  },
  closed(ended, reason) {
    clearQueue();
    readout.show({}); // what the session said last no longer holds
    advice = "";
    closeReason = reason;
    microphone.close();
    // A refused retry does not make an ended session a lost connection.
    setState(ended || (state === "ended" && !reason) ? "ended" : "lost");
  },
  refused(why) {
    closeReason = why;
    setState("refused");
  },
});

/**
 * Decode a picture that arrived; it is shown in its turn.
 * @param {ArrayBuffer} buffer
 */
function receive(buffer) {
  const frame = readFrame(buffer, terms);
  // The same once more, where what was wanted has changed.
  if (frame.number < lastNumber) return;
  lastNumber = frame.number;
  const entry = { frame, decoded: null, failed: false };
  queue.push(entry);
  decodeFrame(frame)
    .then(
      (decoded) => {
        if (queue.includes(entry)) entry.decoded = decoded;
        else closeAll(decoded); // the link was lost meanwhile
      },
      () => {
        entry.failed = true;
      },
    )
    .finally(() => {
      flipping ||= requestAnimationFrame(flip);
    });
}

/** Show the newest frame that is decoded and has no frame still decoding before it. */
function flip() {
  flipping = 0;
  let next = null;
  const now = performance.now();
  while (queue.length > 0 && (queue[0].decoded || queue[0].failed)) {
    if (queue[0].decoded && queue.length <= MOST_HELD && sound.heldUntil(queue[0].frame, now) > now) {
      for (const { frame, decoded } of queue) if (decoded) answer(frame, sound.heldUntil(frame, now));
      flipping = requestAnimationFrame(flip);
      break;
    }
    const entry = queue.shift();
    if (entry.failed) {
      failedAt = performance.now();
      refresh(); // now: a page that is held up for longer would never say it
      link.say({ failed: entry.frame.number });
      continue;
    }
    if (next) closeAll(next.decoded);
    next = entry;
  }
  if (!next) return;
  const { frame, decoded } = next;
  try {
    stage.show(frame, decoded);
  } catch {
    link.say({ failed: frame.number }); // from now on the session draws
    return;
  }
  lastShownAt = performance.now();
  answer(frame, lastShownAt);
  refresh();
  if (frame.number === shownNumber) return;
  shownNumber = frame.number;
  readout.shown(frame, lastShownAt);
  sound.shown(frame.captured_ms, lastShownAt);
  player.shown(frame, lastShownAt);
  window.dispatchEvent(
    new CustomEvent("p2c2g:shown", {
      detail: { number: frame.number, state: frame.state, age_ms: frame.age_ms + Math.round(lastShownAt - frame.arrivedAt) },
    }),
  );
}

/**
 * Say when a picture is shown, once, so that the session sends another.
 * @param {Frame} frame
 * @param {number} at by performance.now(): now, or a moment to come
 */
function answer(frame, at) {
  if (frame.isAnswered) return;
  frame.isAnswered = true;
  const after_ms = Math.max(0, Math.min(60_000, Math.round(at - frame.arrivedAt)));
  link.say({ shown: frame.number, after_ms });
}

function clearQueue() {
  for (const entry of queue) if (entry.decoded) closeAll(entry.decoded);
  queue = [];
}

/**
 * Say who makes the enhanced picture.
 * @param {string} name
 */
function nameEnhanced(name) {
  for (const element of document.querySelectorAll("[data-by]")) {
    if (element.textContent !== name) element.textContent = name;
  }
}

/** @param {typeof state} next */
function setState(next) {
  state = next;
  document.body.dataset.link = next;
  refresh();
}

/** Say honestly what is seen: live, stalled, lost or ended. */
function refresh() {
  const now = performance.now();
  const age = Math.floor((now - lastShownAt) / 1000);
  const hasPicture = stage.frame !== null;
  const stalled = state === "live" && hasPicture && now - lastShownAt > STALL_MS && !document.hidden;
  const failed = now - failedAt < FAILURE_SHOWN_MS;
  if (failed) write("notice", "A picture could not be decoded");
  else if (stalled) write("notice", `No new picture for ${age} s`);
  else if (advice) write("notice", advice);
  byId("notice").hidden = !(failed || stalled || advice);

  const overlay = byId("overlay");
  overlay.hidden = state === "live" && hasPicture;
  document.body.toggleAttribute("data-covered", !overlay.hidden);
  byId("retry").hidden = state === "live" || state === "connecting";
  if (overlay.hidden) return;
  const last = hasPicture ? ` Behind this is the last picture, from ${age} s ago.` : "";
  const says = {
    connecting: ["Connecting", "Looking for the session."],
    live: ["Connected", "Waiting for the first picture."],
    lost: ["Connection lost", `${closeReason || "The session does not answer."}${last} Trying again.`],
    refused: ["Not connected", closeReason],
    ended: ["Session ended", `The session has closed.${last} Looking for the next one.`],
  }[state];
  write("overlay-title", says[0]);
  write("overlay-text", says[1]);
}

/**
 * Change a text only where it differs: screen readers speak each change.
 * @param {string} id
 * @param {string} text
 */
function write(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

const comparison = new Comparison(byId("picture"), byId("divider"), (divider) => {
  stage.compare(divider);
});

function toggleFullscreen() {
  if (document.fullscreenElement) {
    player.leaving();
    document.exitFullscreen();
  } else document.documentElement.requestFullscreen().catch(() => {});
}

function toggleReadout() {
  const hidden = byId("readout").toggleAttribute("hidden");
  byId("info").setAttribute("aria-pressed", String(!hidden));
}

/**
 * @param {boolean} isOpen
 * @param {string} why it could not be opened, or was closed
 */
function showMicrophone(isOpen, why) {
  byId("microphone").setAttribute("aria-pressed", String(isOpen));
  byId("microphone").title = why || (isOpen ? "Mute your microphone" : "Speak: opens your microphone");
  byId("speaking").hidden = !isOpen && !why;
  write("speaking", why || "Your microphone is open");
}

/** @param {"off" | "on" | "blocked" | "impossible"} state */
function showSound(state) {
  const button = byId("sound");
  button.setAttribute("aria-pressed", String(state === "on"));
  button.disabled = state === "impossible";
  button.title = {
    off: "Sound (M)",
    on: "Sound (M)",
    blocked: "The browser holds the sound back: click once more",
    impossible: "This browser cannot play the game's sound",
  }[state];
}

document.addEventListener("fullscreenchange", () => {
  byId("fullscreen").setAttribute("aria-pressed", String(document.fullscreenElement !== null));
});
byId("fullscreen").addEventListener("click", toggleFullscreen);
byId("info").addEventListener("click", toggleReadout);
byId("sound").addEventListener("click", () => sound.toggle());
byId("microphone").addEventListener("click", () => microphone.toggle());
byId("games").addEventListener("click", () => games.open());
byId("retry").addEventListener("click", () => link.retry());

const keys = {
  b: () => comparison.next(),
  f: toggleFullscreen,
  g: () => byId("games").hidden || games.open(),
  i: toggleReadout,
  m: () => byId("sound").hidden || sound.toggle(),
};
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || games.isOpen) return;
  keys[event.key.toLowerCase()]?.();
});

let idleTimer = 0;
function wake() {
  document.body.removeAttribute("data-idle");
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => document.body.setAttribute("data-idle", ""), 3000);
}
for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) {
  window.addEventListener(name, wake, { passive: true });
}

setInterval(() => {
  refresh();
  const { figures } = sound;
  readout.sound(figures);
  if (figures) window.dispatchEvent(new CustomEvent("p2c2g:heard", { detail: figures }));
}, 250);
wake();
comparison.start();
link.connect();
