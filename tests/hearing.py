"""What a page plays and shows, listened to and looked at in it: for tests and benchmarks.

Before the page's own scripts, :data:`LISTEN` puts an ear beside its loudspeaker.  ``heard()`` gives
the times of the beginnings of sounds, ``flashed()`` those at which white pictures appeared, both
in milliseconds of the page's clock: of the sound's those at which it leaves the machine.
"""

from __future__ import annotations

LISTEN = """() => {
  const onsets = [], flashes = [];
  let quiet = 0, wasWhite = false, begun = -1;
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    const {context} = this;
    if (to instanceof AudioDestinationNode && context.getOutputTimestamp) listen(this, context);
    return connect.call(this, to, ...rest);
  };
  function listen(node, context) {
    const ear = new AnalyserNode(context, {fftSize: 32768, smoothingTimeConstant: 0});
    connect.call(node, ear);
    const samples = new Float32Array(ear.fftSize);
    const spectrum = new Float32Array(ear.frequencyBinCount);
    let readTo = 0;
    window.spectrumPeak = () => {
      ear.getFloatFrequencyData(spectrum);
      const at = spectrum.reduce((best, value, i) => (value > spectrum[best] ? i : best), 0);
      return at * context.sampleRate / ear.fftSize;
    };
    setInterval(() => {
      ear.getFloatTimeDomainData(samples);
      const end = Math.round(context.currentTime * context.sampleRate);
      const stamp = context.getOutputTimestamp();
      const clock = stamp.performanceTime - stamp.contextTime * 1000;
      for (let at = Math.max(readTo, end - samples.length); at < end; at += 1) {
        const loud = Math.abs(samples[samples.length - (end - at)]) > 0.05;
        if (loud && quiet > context.sampleRate / 20 && stamp.performanceTime)
          onsets.push(at / context.sampleRate * 1000 + clock);
        quiet = loud ? 0 : quiet + 1;
      }
      readTo = end;
    }, 100);
  }
  // What the session says of its sound.
  const parse = JSON.parse;
  JSON.parse = (...args) => {
    const said = parse(...args);
    if (said?.sound) window.told = said.sound;
    return said;
  };
  window.addEventListener("p2c2g:heard", ({detail}) => { window.soundFigures = detail; });
  window.shownNumbers = [];
  const note = ({detail}) => window.shownNumbers.push(detail.number);
  window.addEventListener("p2c2g:shown", note);
  window.heard = () => onsets.splice(0);
  window.flashed = () => flashes.splice(0);
  const eye = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  window.addEventListener("p2c2g:shown", () => {
    eye.drawImage(document.querySelector(".picture canvas:not([hidden])"), 0, 0, 1, 1);
    const white = eye.getImageData(0, 0, 1, 1).data[1] > 250;
    if (white && !wasWhite) flashes.push(performance.now());
    wasWhite = white;
  });
}"""


def offsets(heard: list[float], flashed: list[float], most: float = 450.0) -> list[float]:
    """Return by how much each sound is later than the flash nearest to it, in milliseconds."""
    pairs = [min((at - flash for flash in flashed), key=abs, default=most) for at in heard]
    return [late for late in pairs if abs(late) < most]
