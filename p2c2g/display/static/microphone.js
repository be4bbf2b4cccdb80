/**
 * The viewer's voice: heard with the browser's permission, and only while it is open; Opus packets
 * go to the session on a socket of their own.
 */

const RATE = 48_000;
const SAMPLES = 960;
const CONFIG = { codec: "opus", sampleRate: RATE, numberOfChannels: 1, bitrate: 32_000 };
/** Bytes that may wait for the line: what is said later than that is left out. */
const MOST_WAITING = 8_000;

/** @param {(() => void)[]} ends */
function endAll(ends) {
  for (const end of ends.splice(0).reverse()) end();
}

export class Microphone {
  /**
   * @param {URL} url
   * @param {(isOpen: boolean, why: string) => void} changed
   */
  constructor(url, changed) {
    this.url = url;
    this.changed = changed;
    /** @type {(() => void)[] | null} what ends each part of it; null while it is closed */
    this.ends = null;
  }

  toggle() {
    if (this.ends) this.close();
    else this.open();
  }

  async open() {
    /** @type {(() => void)[]} */
    const ends = (this.ends = []);
    // It may be closed, and opened again, while this one is on its way or ends.
    const isThis = () => this.ends === ends;
    try {
      await this.begin(ends, isThis);
    } catch (error) {
      const denied = error.name === "NotAllowedError";
      const why = denied ? "The browser does not let this page hear your microphone" : error.message;
      if (isThis()) this.close(why);
    }
    if (isThis()) this.changed(true, "");
    else endAll(ends);
  }

  /** @param {string} why */
  close(why = "") {
    if (!this.ends) return;
    const ends = this.ends;
    this.ends = null;
    endAll(ends);
    this.changed(false, why);
  }

  /**
   * @param {(() => void)[]} ends
   * @param {() => boolean} isThis
   */
  async begin(ends, isThis) {
    if (!navigator.mediaDevices || !("AudioEncoder" in globalThis)) {
      throw new Error("This browser opens no microphone here: it needs https, or this machine itself");
    }
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true },
    });
    ends.push(() => stream.getTracks().forEach((track) => track.stop()));
    const context = new AudioContext({ sampleRate: RATE });
    ends.push(() => context.close());
    await context.audioWorklet.addModule(new URL("microphone-worklet.js", import.meta.url));
    if (!isThis()) return;
    const socket = new WebSocket(this.url);
    ends.push(() => socket.close());
    await new Promise((done, failed) => {
      socket.addEventListener("open", done);
      socket.addEventListener("error", () => failed(new Error("The session takes no voice now")));
    });
    const close = (why) => {
      if (isThis()) this.close(why);
    };
    socket.addEventListener("close", ({ reason }) => close(reason));
    const encoder = new AudioEncoder({
      output: (chunk) => {
        if (socket.bufferedAmount > MOST_WAITING) return;
        const packet = new Uint8Array(chunk.byteLength);
        chunk.copyTo(packet);
        socket.send(packet);
      },
      error: ({ message }) => close(message),
    });
    encoder.configure(CONFIG);
    ends.push(() => encoder.state === "closed" || encoder.close());
    const ear = new AudioWorkletNode(context, "microphone-ear", { numberOfOutputs: 0 });
    let samples = 0;
    ear.port.onmessage = ({ data }) => {
      if (encoder.state !== "configured") return;
      const timestamp = Math.round((samples / RATE) * 1e6);
      samples += SAMPLES;
      const part = new AudioData({
        format: "f32-planar", sampleRate: RATE, numberOfFrames: SAMPLES, numberOfChannels: 1,
        timestamp, data,
      });
      encoder.encode(part);
      part.close();
    };
    context.createMediaStreamSource(stream).connect(ear);
  }
}
