// How long to wait before the next attempt to reconnect: at once, then longer and longer.

const SECONDS = [0, 0.5, 1, 2, 4, 8];
const SPREAD = 0.2;

export class Backoff {
  #attempt = 0;

  /** Milliseconds until the next attempt; spread, so that not everybody comes at the same moment. */
  next() {
    const seconds = SECONDS[Math.min(this.#attempt++, SECONDS.length - 1)];
    return 1000 * seconds * (1 + SPREAD * (2 * Math.random() - 1));
  }

  reset() {
    this.#attempt = 0;
  }
}

/** Resolves after so many milliseconds, or as soon as the machine is back on a network. */
export function pause(milliseconds) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      removeEventListener("online", wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    addEventListener("online", wake);
  });
}
