// Tells from counts of received packets whether the path from a peer is alive.

const SILENCE_MS = 2000;
const SILENCE_AFTER_SPEECH_MS = 1000;
const SPEECH_PER_SECOND = 10; // in silence there are two or three packets a second (DTX)
const STEADY = 3;

export class PathWatch {
  #count = null;
  #at = 0;
  #rates = [0, 0];
  #heard = 0;
  #steps = 0;

  /** Whether packets ever came regularly, so that their silence means something. */
  expectant = false;

  /** `count` of packets received so far, at `now` in milliseconds; returns "alive", "dead" or "quiet". */
  update(count, now) {
    const before = this.#count;
    const rate = before === null ? 0 : (1000 * (count - before)) / Math.max(1, now - this.#at);
    this.#count = count;
    this.#at = now;
    if (before !== null && count > before) {
      this.#heard = now;
      this.#rates = [this.#rates[1], rate];
      this.#steps++;
      this.expectant ||= this.#steps >= STEADY;
      return "alive";
    }
    const spoke = Math.max(...this.#rates) >= SPEECH_PER_SECOND;
    const patience = spoke ? SILENCE_AFTER_SPEECH_MS : SILENCE_MS;
    if (this.#steps >= STEADY && now - this.#heard >= patience) return "dead";
    return "quiet";
  }

  /** Wait for regular packets again. */
  reset() {
    this.#steps = 0;
  }
}
