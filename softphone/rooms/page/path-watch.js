// Tells from counts of received packets whether the path from a peer is alive.

const SILENCE_MS = 2000;
const STEADY = 3;

export class PathWatch {
  #count = null;
  #heard = 0;
  #steps = 0;

  /** Whether packets ever came regularly, so that their silence means something. */
  expectant = false;

  /** `count` of packets received so far, at `now` in milliseconds; returns "alive", "dead" or "quiet". */
  update(count, now) {
    const before = this.#count;
    this.#count = count;
    if (before !== null && count > before) {
      this.#heard = now;
      this.#steps++;
      this.expectant ||= this.#steps >= STEADY;
      return "alive";
    }
    if (this.#steps >= STEADY && now - this.#heard >= SILENCE_MS) return "dead";
    return "quiet";
  }

  /** Wait for regular packets again. */
  reset() {
    this.#steps = 0;
  }
}
