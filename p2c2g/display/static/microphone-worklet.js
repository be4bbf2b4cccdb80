/** Gathers twenty milliseconds of what a microphone hears, in one channel. */

const SAMPLES = 960;

class MicrophoneEar extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Float32Array(SAMPLES);
    this.filled = 0;
  }

  process([input]) {
    const [heard] = input;
    for (let i = 0; i < (heard?.length ?? 0); i += 1) {
      this.samples[this.filled] = heard[i];
      this.filled += 1;
      if (this.filled < SAMPLES) continue;
      this.port.postMessage(this.samples, [this.samples.buffer]);
      this.samples = new Float32Array(SAMPLES);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("microphone-ear", MicrophoneEar);
