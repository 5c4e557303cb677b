// Plays the others, each with a volume of its own.
//
// Event: "blocked" when the browser wants a gesture first, "unblocked" after it.

export class Playback extends EventTarget {
  #elements = new Map();
  #volumes = new Map();
  #muted = new Set();
  #speaker = "";
  #blocked = false;

  attach(id, track) {
    this.detach(id);
    const audio = new Audio();
    audio.srcObject = new MediaStream([track]);
    this.#elements.set(id, audio);
    this.#adjust(id);
    if (this.#speaker) this.#direct(audio);
    this.#play(audio);
  }

  detach(id) {
    const audio = this.#elements.get(id);
    this.#elements.delete(id);
    if (!audio) return;
    audio.pause();
    audio.srcObject = null;
  }

  /** 0 to 1; kept while the participant reconnects. */
  volume(id) {
    return this.#volumes.get(id) ?? 1;
  }

  setVolume(id, volume) {
    this.#volumes.set(id, volume);
    this.#adjust(id);
  }

  /** Who is muted is not played, whatever arrives. */
  setMuted(id, muted) {
    if (muted) this.#muted.add(id);
    else this.#muted.delete(id);
    this.#adjust(id);
  }

  async setSpeaker(deviceId) {
    this.#speaker = deviceId;
    await Promise.all([...this.#elements.values()].map((audio) => this.#direct(audio)));
  }

  /** To be called from a gesture of the user. */
  unblock() {
    this.#blocked = false;
    for (const audio of this.#elements.values()) this.#play(audio);
    this.dispatchEvent(new Event("unblocked"));
  }

  close() {
    for (const id of [...this.#elements.keys()]) this.detach(id);
  }

  async #play(audio) {
    try {
      await audio.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.#blocked) return;
      this.#blocked = true;
      this.dispatchEvent(new Event("blocked"));
    }
  }

  async #direct(audio) {
    try {
      await audio.setSinkId(this.#speaker);
    } catch (error) {
      console.warn("The loudspeaker can't be used:", error.message);
    }
  }

  #adjust(id) {
    const audio = this.#elements.get(id);
    if (!audio) return;
    audio.volume = this.volume(id);
    audio.muted = this.#muted.has(id);
  }
}
