// One participant's connection: offers or answers, restarts ICE, begins anew. docs/rooms.md has the rules.
//
// Events: "state", "track" (detail: the track).

import { PathWatch } from "./path-watch.js";
import { limitRate, packetsReceived, preferVoice, rtcConfiguration } from "./rtc.js";

const PATIENCE_MS = 10_000;
const FIRST_OFFER_MS = 5_000;
const PACE_MS = 2_000;
const MAX_EARLY_CANDIDATES = 64;

const newSession = () => crypto.randomUUID().replaceAll("-", "");

export class Peer extends EventTarget {
  /** none, negotiating, connecting, connected, restarting or gone. */
  state = "none";
  connection = null;
  receiver = null;

  #id;
  #offerer;
  #context;
  #away;
  #red;
  #session = "";
  #round = 0;
  #rounds = new Map();
  #answer = null;
  #early = [];
  #wanted = "";
  #lastRequest = -Infinity;
  #pace = null;
  #deadline = null;
  #watch = new PathWatch();
  #work = Promise.resolve();

  /**
   * `context` is shared by all peers: { own, send(message), ice, track, encryption }. The end with the
   * greater id is the offerer. With `anew` the other end may still have our former connection.
   */
  constructor({ id, offerer, away, red, anew, context }) {
    super();
    this.#id = id;
    this.#offerer = offerer;
    this.#context = context;
    this.#away = away;
    this.#red = red;
    if (offerer || anew) this.#want("session");
    else this.#expectOffer();
  }

  /** The other end's signalling was lost, or is back. */
  set away(away) {
    const back = this.#away && !away;
    this.#away = away;
    if (!back) return;
    if (this.#offerer && this.state !== "connected") this.#want("session");
    else this.#request();
  }

  /** Our own signalling was lost and is back; what was in flight is gone. */
  signalingReturned() {
    if (this.state === "connected") return;
    if (this.#offerer) this.#want("session");
    else this.#expectOffer();
  }

  /** A `signal` message from the other end; they are worked off one after the other. */
  receive(message) {
    this.#enqueue(() => this.#receivers[message.kind]?.(message));
  }

  async replaceTrack(track) {
    await this.#transceiver?.sender.replaceTrack(track);
  }

  /** Look at the path, given the reports of getStats(); to be called twice a second. */
  inspect(reports, now) {
    if (!["connected", "restarting"].includes(this.state)) return;
    const path = this.#watch.update(packetsReceived(reports), now);
    if (this.state === "connected" && path === "dead") this.#repair();
    if (this.state === "restarting" && this.connection.connectionState === "connected") {
      const heard = path === "alive" || !this.#watch.expectant;
      if (heard && this.connection.signalingState === "stable") this.#enter("connected");
    }
  }

  /** The machine is on another network: the path in use is gone, whatever the connection says. */
  networkChanged() {
    if (this.state === "connected") this.#repair();
  }

  close() {
    clearTimeout(this.#pace);
    this.#enter("gone");
    this.#drop();
  }

  get #transceiver() {
    return this.connection?.getTransceivers()[0];
  }

  // Offering, or asking the offerer: at most once in two seconds, and not while the other is away.

  #want(what) {
    if (this.#wanted !== "session") this.#wanted = what;
    this.#request();
  }

  #request() {
    if (!this.#wanted || this.#away || this.state === "gone") return;
    clearTimeout(this.#pace);
    const wait = Math.max(0, this.#lastRequest + PACE_MS - performance.now());
    this.#pace = setTimeout(() => {
      const what = this.#wanted;
      this.#wanted = "";
      this.#lastRequest = performance.now();
      if (!this.#offerer) this.#ask(what);
      else this.#enqueue(() => (what === "round" && this.#session ? this.#offerAgain() : this.#offerAnew()));
    }, wait);
  }

  #ask(what) {
    this.#send({ kind: "restart", session: what === "round" ? this.#session : "" });
    if (what === "session") this.#expectOffer();
  }

  async #offerAnew() {
    this.#drop();
    this.#session = newSession();
    this.#round = 0;
    this.#make();
    await this.#offer();
  }

  async #offerAgain() {
    if (this.connection.signalingState !== "stable") {
      this.#wanted ||= "round"; // one offer at a time; the answer or the deadline goes on from here
      return;
    }
    this.connection.setConfiguration(rtcConfiguration(this.#context.ice));
    this.connection.restartIce();
    await this.#offer();
  }

  async #offer() {
    const { connection } = this;
    this.#round++;
    await connection.setLocalDescription();
    this.#rounds.set(ufragOf(connection.localDescription.sdp), this.#round);
    this.#send({
      kind: "offer",
      session: this.#session,
      round: this.#round,
      sdp: connection.localDescription.sdp,
    });
    this.#enter(this.#round === 1 ? "negotiating" : "restarting");
    this.#expect(() => this.#want("session"));
  }

  // What the other end says.

  #receivers = {
    offer: (message) => this.#onOffer(message),
    answer: (message) => this.#onAnswer(message),
    candidate: (message) => this.#onCandidate(message),
    restart: ({ session }) => {
      if (this.#offerer) this.#want(session !== "" && session === this.#session ? "round" : "session");
    },
  };

  async #onOffer({ session, round, sdp }) {
    if (this.#offerer) return;
    const fresh = session !== this.#session;
    if (!fresh && round === this.#round && this.#answer) this.#send(this.#answer);
    if (!fresh && round <= this.#round) return;
    if (fresh) {
      this.#drop();
      this.#session = session;
      this.#make();
    } else {
      this.connection.setConfiguration(rtcConfiguration(this.#context.ice));
    }
    const { connection } = this;
    this.#round = round;
    await connection.setRemoteDescription({ type: "offer", sdp });
    await connection.setLocalDescription();
    const answer = connection.localDescription.sdp;
    this.#rounds.set(ufragOf(answer), round);
    this.#answer = { kind: "answer", session, round, sdp: answer };
    this.#send(this.#answer);
    this.#enter(fresh ? "connecting" : "restarting");
    this.#expect(() => this.#want("session"));
    await this.#addEarly();
  }

  async #onAnswer({ session, round, sdp }) {
    if (!this.#offerer || session !== this.#session || round !== this.#round) return;
    if (this.connection.signalingState !== "have-local-offer") return;
    await this.connection.setRemoteDescription({ type: "answer", sdp });
    if (this.state === "negotiating") this.#enter("connecting");
    if (this.connection.connectionState === "connected" && this.state === "connecting")
      this.#enter("connected");
    else this.#expect(() => this.#want("session"));
    await this.#addEarly();
    this.#request();
  }

  async #onCandidate(message) {
    if (this.#isCurrent(message)) await this.#addCandidate(message);
    else if (this.#early.length < MAX_EARLY_CANDIDATES) this.#early.push(message);
  }

  #isCurrent({ session, round }) {
    const described = this.connection?.remoteDescription && this.connection.signalingState === "stable";
    return described && session === this.#session && round === this.#round;
  }

  async #addEarly() {
    const current = this.#early.filter((message) => this.#isCurrent(message));
    this.#early = [];
    for (const message of current) await this.#addCandidate(message);
  }

  async #addCandidate({ candidate, mid = "", ufrag = "" }) {
    const init = { candidate, sdpMid: mid || "0", usernameFragment: ufrag || null };
    try {
      await this.connection.addIceCandidate(init);
    } catch (error) {
      console.warn("A candidate was ignored:", error.message);
    }
  }

  // The connection.

  #make() {
    const connection = new RTCPeerConnection(rtcConfiguration(this.#context.ice));
    this.connection = connection;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate === null) this.#sendCandidate(this.#round, { candidate: "" });
      else if (candidate.candidate) {
        const round = this.#rounds.get(candidate.usernameFragment) ?? this.#round;
        const { candidate: line, sdpMid: mid, usernameFragment: ufrag } = candidate;
        this.#sendCandidate(round, { candidate: line, mid: mid ?? "0", ufrag: ufrag ?? "" });
      }
    };
    connection.ontrack = ({ track }) => this.dispatchEvent(new CustomEvent("track", { detail: track }));
    connection.onconnectionstatechange = () => this.#onConnectionState(connection.connectionState);
    // Before there is an offer, in both roles: encryption must be in place from the first packet on.
    const { own, track, encryption } = this.#context;
    connection.addTrack(track);
    const transceiver = this.#transceiver;
    preferVoice(transceiver, { red: this.#red && !encryption });
    limitRate(transceiver.sender);
    this.receiver = transceiver.receiver;
    encryption?.apply(transceiver, { own, id: this.#id });
  }

  #drop() {
    clearTimeout(this.#deadline);
    const { connection } = this;
    this.connection = this.receiver = this.#answer = null;
    this.#rounds.clear();
    this.#watch = new PathWatch();
    if (connection === null) return;
    connection.onicecandidate = connection.ontrack = connection.onconnectionstatechange = null;
    connection.close();
  }

  #onConnectionState(state) {
    const wasConnected = this.state === "connected";
    if (state === "connected" && this.state !== "restarting" && this.connection.signalingState === "stable") {
      this.#enter("connected");
    } else if (wasConnected && (state === "disconnected" || state === "failed")) {
      this.#repair();
    } else if (state === "closed" || state === "failed") {
      if (wasConnected) this.#enter("restarting");
      this.#want(this.#offerer || state === "closed" ? "session" : "round");
    }
  }

  #repair() {
    this.#enter("restarting");
    this.#watch.reset();
    this.#want("round");
    this.#expect(() => this.#want("session"));
  }

  #enter(state) {
    if (this.state === "gone" || state === this.state) return;
    this.state = state;
    if (state === "connected") {
      clearTimeout(this.#deadline);
      this.#watch.reset();
    }
    this.dispatchEvent(new Event("state"));
  }

  #expect(otherwise, milliseconds = PATIENCE_MS) {
    clearTimeout(this.#deadline);
    if (this.state !== "gone") this.#deadline = setTimeout(otherwise, milliseconds);
  }

  #expectOffer() {
    this.#expect(() => this.#want("session"), FIRST_OFFER_MS);
  }

  #enqueue(step) {
    this.#work = this.#work
      .then(() => (this.state === "gone" ? undefined : step()))
      .catch((error) => {
        if (this.state !== "gone") console.warn(`Connecting with ${this.#id} failed:`, error.message);
      });
  }

  #sendCandidate(round, candidate) {
    this.#send({ kind: "candidate", session: this.#session, round, ...candidate });
  }

  #send(message) {
    this.#context.send({ type: "signal", peer: this.#id, ...message });
  }
}

function ufragOf(sdp) {
  return /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1];
}
