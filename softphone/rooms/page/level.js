// How loud a stream is.

const FLOOR_DB = -60;

/** Maps an amplitude to the length of a bar, 0 to 1: even steps to the ear. */
export function barLength(amplitude) {
  if (amplitude <= 0) return 0;
  return Math.min(1, Math.max(0, 1 - (20 * Math.log10(amplitude)) / FLOOR_DB));
}

export class LevelMeter {
  #context = null;
  #source = null;
  #analyser = null;
  #samples = null;

  connect(stream) {
    if (this.#context === null) {
      this.#context = new AudioContext();
      this.#analyser = new AnalyserNode(this.#context, { fftSize: 2048 });
      this.#samples = new Float32Array(this.#analyser.fftSize);
    }
    this.#source?.disconnect();
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
  }

  /** Root mean square of the last 43 ms, 0 to 1. */
  level() {
    if (this.#context === null) return 0;
    if (this.#context.state === "suspended") this.#context.resume();
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const sum = this.#samples.reduce((energy, sample) => energy + sample * sample, 0);
    return Math.sqrt(sum / this.#samples.length);
  }

  close() {
    this.#context?.close();
    this.#context = null;
  }
}
