// One stay in a room: joins the signalling, the state of the room, the media and what is played.
//
// Events: "state", "changed" (anything to show), "happened" (detail: { type, ... }),
// "ended" (detail: { code, message }).

import { socketUrl } from "./address.js";
import { Encryption } from "./encryption.js";
import { createEngine, knowsEngine } from "./engines.js";
import { RoomState } from "./room-state.js";
import { canRed } from "./rtc.js";
import { Signaling } from "./signaling.js";
import { keepPlace, place } from "./storage.js";
import { browserName } from "./support.js";

const TOO_FAST_MS = 2_000;

export class Session extends EventTarget {
  /** preparing, connecting, unreachable, waiting, joined, reconnecting or ended. */
  state = "preparing";
  room = new RoomState();

  #name;
  #token;
  #wish;
  #microphone;
  #playback;
  #encryption = null;
  #encryptionStates = new Map();
  #signaling = null;
  #engine = null;
  #settling = null;
  #unsent = {};
  /** Whether the server has said what it knows of us, since we came back. */
  #settledSelf = false;

  /** `name` of the room, `wish` of the participant for its own name. */
  constructor({ name, token, wish, microphone, playback }) {
    super();
    this.#name = name;
    this.#token = token;
    this.#wish = wish;
    this.#microphone = microphone;
    this.#playback = playback;
    microphone.addEventListener("track", this.#onTrack);
    addEventListener("pagehide", this.#onHide);
  }

  async start({ passphrase = "", resume = "" } = {}) {
    if (passphrase) {
      try {
        this.#encryption = await this.#openEncryption(passphrase);
      } catch {
        this.#end({ code: "encryption", message: "" });
      }
    }
    if (this.state === "ended") {
      this.#encryption?.close();
      return;
    }
    const capabilities = {
      red: canRed() && !this.#encryption,
      inband_fec: true,
      sframe: this.isEncrypted,
      agent: browserName(),
    };
    const signaling = new Signaling({
      url: socketUrl(),
      hello: { name: this.#wish, capabilities },
      join: { room: this.#name, token: this.#token },
      resume,
    });
    this.#signaling = signaling;
    signaling.addEventListener("message", ({ detail }) => this.#receive(detail));
    signaling.addEventListener("lost", () => this.#enter(this.#engine ? "reconnecting" : "unreachable"));
    signaling.addEventListener("ended", ({ detail }) => this.#end(detail));
    this.#enter("connecting");
    signaling.start();
  }

  get isEncrypted() {
    return this.#encryption !== null;
  }

  // What the user does.

  setMuted(muted) {
    this.#microphone.muted = muted;
    this.#update({ muted });
    this.#changed();
  }

  setHand(hand) {
    this.#update({ hand });
  }

  rename(name) {
    this.#update({ name });
  }

  /** Whether the line left. */
  say(text) {
    return this.#signaling.send({ type: "say", text });
  }

  /** A request of a moderator, such as { type: "remove", peer }. */
  moderate(request) {
    this.#signaling.send(request);
  }

  leave() {
    this.#signaling?.close();
    this.#end({ code: "left", message: "" });
  }

  // What is shown of the others.

  /** connected, connecting, restarting, away or failing. */
  pathState(id) {
    const who = this.room.participants.get(id);
    if (who?.away) return "away";
    if (this.#encryptionStates.get(id) === "failing" || this.#isUnreadable(who)) return "failing";
    const state = this.#engine?.state(id);
    return ["connected", "restarting"].includes(state) ? state : "connecting";
  }

  level(id) {
    return this.#engine?.level(id) ?? 0;
  }

  async statistics(id) {
    return (await this.#engine?.statistics(id)) ?? null;
  }

  // Without a passphrase what is encrypted would be noise.
  #isUnreadable(who) {
    return who?.capabilities.sframe === true && !this.isEncrypted;
  }

  // What the server says.

  #receive(message) {
    if (message.type === "signal") {
      this.#engine?.receive(message);
      return;
    }
    if (message.type === "waiting") this.#enter("waiting");
    const happened = this.room.apply(message);
    if (message.type === "joined") this.#joined(message);
    else this.#engine?.update(this.room);
    if (message.type === "muted") this.#microphone.muted = true;
    if (message.type === "peer-changed" && message.participant.id === this.room.id) this.#changedSelf();
    if (message.type === "refused" && message.code === "rate-limit")
      setTimeout(() => this.#reconcile(), TOO_FAST_MS);
    for (const who of this.room.participants.values()) {
      this.#playback.setMuted(who.id, who.muted || this.#isUnreadable(who));
    }
    for (const detail of happened) this.dispatchEvent(new CustomEvent("happened", { detail }));
    this.#changed();
  }

  #joined({ engine = "mesh", resumed = false, ...message }) {
    if (!knowsEngine(engine)) {
      this.#signaling.close();
      this.#end({ code: "unknown-engine", message: "" });
      return;
    }
    keepPlace(this.#name, { token: this.#token, resume: message.resume, name: this.room.name });
    keepPlace(this.#name, { seconds: message.resume_seconds });
    if (resumed && this.#engine) {
      this.#engine.update(this.room);
      this.#engine.signalingReturned();
    } else {
      this.#startEngine(engine, resumed);
    }
    clearTimeout(this.#settling);
    if (this.room.missing.size > 0)
      this.#settling = setTimeout(() => this.#settle(), 1000 * message.settle_seconds);
    this.#enter("joined");
    // The server answers with all it knows of us. Only what it can't know is told to one who comes
    // back: a moderator may have turned the microphone off meanwhile.
    this.#update(resumed ? { recording: false, ...this.#unsent } : { muted: this.#microphone.muted });
    this.#unsent = {};
  }

  #startEngine(name, anew) {
    this.#engine?.close();
    this.#encryptionStates.clear();
    const { room } = this;
    const send = (message) => this.#signaling.send(message);
    this.#engine = createEngine(name, {
      room,
      send,
      anew,
      track: this.#microphone.track,
      encryption: this.#encryption,
    });
    this.#engine.addEventListener("track", ({ detail: { id, track } }) => this.#playback.attach(id, track));
    this.#engine.addEventListener("gone", ({ detail: { id } }) => this.#playback.detach(id));
    this.#engine.addEventListener("state", () => this.#changed());
  }

  #settle() {
    for (const detail of this.room.settle()) this.dispatchEvent(new CustomEvent("happened", { detail }));
    this.#engine.update(this.room);
    this.#changed();
  }

  #changedSelf() {
    keepPlace(this.#name, { name: this.room.name });
    this.#wish = this.room.name;
    if (this.#settledSelf) return;
    this.#settledSelf = true;
    if (this.room.muted) this.#microphone.muted = true;
  }

  // A change that was refused, or made while the connection was lost, is made up for.
  #reconcile() {
    if (this.state === "joined" && this.room.muted !== this.#microphone.muted)
      this.#update({ muted: this.#microphone.muted });
  }

  #update(changes) {
    if (!this.#signaling?.send({ type: "update", ...changes })) Object.assign(this.#unsent, changes);
  }

  async #openEncryption(passphrase) {
    const encryption = await new Encryption().open(passphrase, this.#name);
    encryption.addEventListener("state", ({ detail: { id, state } }) => {
      this.#encryptionStates.set(id, state);
      const name = this.room.nameOf(id);
      if (state === "failing")
        this.dispatchEvent(new CustomEvent("happened", { detail: { type: "failing", name } }));
      this.#changed();
    });
    return encryption;
  }

  #onTrack = () => this.#engine?.replaceTrack(this.#microphone.track);

  #onHide = () => keepPlace(this.#name, { seen: Date.now(), muted: this.#microphone.muted });

  #enter(state) {
    if (this.state === "ended" || state === this.state) return;
    if (state === "reconnecting") this.#settledSelf = false;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  #end(detail) {
    if (this.state === "ended") return;
    this.#enter("ended");
    clearTimeout(this.#settling);
    this.#microphone.removeEventListener("track", this.#onTrack);
    removeEventListener("pagehide", this.#onHide);
    this.#engine?.close();
    this.#encryption?.close();
    this.#playback.close();
    if (place(this.#name).resume) keepPlace(this.#name, { resume: "" });
    this.dispatchEvent(new CustomEvent("ended", { detail }));
  }

  #changed() {
    this.dispatchEvent(new Event("changed"));
  }
}
