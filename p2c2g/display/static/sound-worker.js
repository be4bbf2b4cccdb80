/**
 * Takes the game's sound from its socket to the worklet that plays it, in a thread of its own: no
 * picture that is being drawn holds it up.  The layout of a packet is described in
 * p2c2g/media/sound.py.
 */

import { SessionClock } from "./synchrony.js";

const RATE = 48_000;
const HEADER_BYTES = 20;
const AGAIN_MS = 1000;
const TELL_EVERY_MS = 250;
const CONFIG = { codec: "opus", sampleRate: RATE, numberOfChannels: 2 };
/** Packets that may wait for the decoder: beyond them it is behind, and what waits is dropped. */
const MOST_WAITING = 25;

/** @type {MessagePort | null} to the worklet */
let player = null;
/** @type {URL | null} of the socket, while there is to be sound */
let url = null;
/** What a clock's time is in the page less what it is here: both count from their own beginning. */
let earlier = 0;
let clock = new SessionClock();
/** @type {WebSocket | null} */
let socket = null;
/** @type {AudioDecoder | null} */
let decoder = null;
/** @type {number[]} when the packets that are being decoded were captured */
let times = [];
let timer = 0;
let number = -1;
let lost = 0;
let toldAt = -Infinity;

/** The time by the page's performance.now(). */
const now = () => performance.now() + earlier;

self.onmessage = ({ data }) => {
  if (data.port) {
    player = data.port;
    earlier = performance.timeOrigin - data.timeOrigin;
  } else if (data.url) {
    url = data.url;
    connect();
  } else if (data.stop) {
    url = null;
    clearTimeout(timer);
    const before = socket;
    socket = null;
    before?.close();
    forget();
  } else {
    player?.postMessage(data); // the page's clock and its pictures' delay
  }
};

/** Drop what waits: it is another session's, or too old. */
function forget() {
  if (decoder && decoder.state !== "closed") decoder.close();
  decoder = null;
  times = [];
  number = -1;
  clock = new SessionClock();
  player?.postMessage({ forget: true });
}

function connect() {
  forget();
  const made = new WebSocket(url);
  socket = made;
  made.binaryType = "arraybuffer";
  made.addEventListener("message", ({ data }) => {
    if (socket === made) heard(data);
  });
  made.addEventListener("close", () => {
    if (socket !== made) return;
    socket = null;
    timer = setTimeout(connect, AGAIN_MS);
  });
}

/** @param {ArrayBuffer} buffer */
function heard(buffer) {
  const view = new DataView(buffer);
  const at = now();
  const captured = view.getFloat64(4, true);
  clock.heard(view.getFloat64(12, true), at);
  const next = view.getUint32(0, true);
  if (number >= 0 && next > number + 1) lost += next - number - 1;
  number = next;
  if (at - toldAt >= TELL_EVERY_MS) {
    toldAt = at;
    self.postMessage({ offset: clock.offset, lost });
  }
  if (times.length > MOST_WAITING) {
    decoder?.close();
    decoder = null;
    times = [];
  }
  decoder ??= newDecoder();
  times.push(captured);
  decoder.decode(
    new EncodedAudioChunk({
      type: "key",
      timestamp: Math.round(captured * 1000),
      data: new Uint8Array(buffer, HEADER_BYTES),
    }),
  );
}

function newDecoder() {
  const made = new AudioDecoder({
    output: (data) => (decoder === made ? decoded(data) : data.close()),
    error: () => {
      if (decoder !== made) return;
      decoder = null; // the next packet makes another
      times = [];
    },
  });
  made.configure(CONFIG);
  return made;
}

/** @param {AudioData} data */
function decoded(data) {
  const captured = times.shift();
  const { offset } = clock;
  const [left, right] = [0, 1].map((planeIndex) => {
    const plane = new Float32Array(data.numberOfFrames);
    const from = Math.min(planeIndex, data.numberOfChannels - 1);
    data.copyTo(plane, { planeIndex: from, format: "f32-planar" });
    return plane;
  });
  data.close();
  if (captured === undefined || offset === null) return;
  player?.postMessage({ at: captured + offset, left, right }, [left.buffer, right.buffer]);
}
