// The engine `janus`: one connection that sends, and one for each voice, all with a Janus server.
// It has the interface of MeshEngine in peers.js.

import { pause } from "./backoff.js";
import { JanusSession } from "./janus-session.js";
import { PathWatch } from "./path-watch.js";
import { limitRate, packetsReceived, preferVoice, rtcConfiguration } from "./rtc.js";

const PLUGIN = "janus.plugin.videoroom";
const LEVEL = /^a=extmap:(\d+)(?:\/\w+)? urn:ietf:params:rtp-hdrext:ssrc-audio-level/m;
const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000];
const INSPECT_MS = 500;

const participantOf = (feed) => feed.split(".")[0];

/** A voice: somebody's feed, and our connection for it. */
class Voice {
  handle = null;
  connection = null;
  track = null;
  shown = false;

  constructor(feed) {
    this.feed = feed;
    this.id = participantOf(feed);
  }

  close() {
    this.connection?.close();
    this.handle?.detach();
    this.connection = this.handle = this.track = null;
  }
}

export class JanusEngine extends EventTarget {
  #ticket;
  #room;
  #track;
  #encryption;
  #session = null;
  #publisher = null;
  #uplink = null;
  #feed = "";
  #privateId = null;
  #voices = new Map();
  #watch = new PathWatch();
  #mending = 0;
  #timer;
  #closed = false;
  #lose = () => {};

  constructor({ room, track, encryption = null }) {
    super();
    this.#room = room;
    this.#ticket = room.connection;
    this.#track = track;
    this.#encryption = encryption;
    this.#timer = setInterval(() => this.#inspect(), INSPECT_MS);
    addEventListener("online", this.#onNetwork);
    this.#live();
  }

  update(room) {
    this.#room = room;
    this.#ticket = room.connection;
    for (const voice of this.#voices.values()) this.#present(voice);
  }

  // Participants have nothing to arrange with each other here.

  receive() {}

  signalingReturned() {}

  async replaceTrack(track) {
    this.#track = track;
    await this.#uplink?.getSenders()[0]?.replaceTrack(track);
  }

  state(id) {
    const states = this.#voicesOf(id).map(({ connection }) => connection?.connectionState);
    return states.includes("connected") ? "connected" : "connecting";
  }

  level(id) {
    const receivers = this.#voicesOf(id).map(({ connection }) => connection?.getReceivers()[0]);
    const levels = receivers.flatMap((receiver) => receiver?.getSynchronizationSources() ?? []);
    return Math.max(0, ...levels.map(({ audioLevel = 0 }) => audioLevel));
  }

  /** What comes from the participant, with what we send to all. */
  async statistics(id) {
    const heard = await this.#voicesOf(id).at(-1)?.connection?.getStats();
    if (!heard) return null;
    const sent = (await this.#uplink?.getStats()) ?? new Map();
    const outgoing = [...sent].filter(([, { type }]) =>
      ["outbound-rtp", "remote-inbound-rtp"].includes(type),
    );
    return new Map([...heard, ...outgoing]);
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    removeEventListener("online", this.#onNetwork);
    this.#leave();
  }

  // Our place in the room on Janus, taken again whenever it is lost.

  async #live() {
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        const { lost } = await this.#enter();
        attempt = 0;
        await lost;
      } catch (error) {
        console.warn("The media server can't be used:", error.message);
      }
      this.#leave();
      await pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    }
  }

  /** Come in; the promise `lost` resolves when we are not inside any more. */
  async #enter() {
    const { url, auth, room, participant, token, seal } = this.#ticket;
    const session = new JanusSession(url, auth);
    this.#session = session;
    const lost = new Promise((resolve) => {
      session.onLost = resolve;
      this.#lose = resolve;
    });
    await session.open();
    const publisher = await session.attach(PLUGIN);
    this.#publisher = publisher;
    const uplink = this.#connect(publisher);
    this.#uplink = uplink;
    const transceiver = uplink.addTransceiver(this.#track, { direction: "sendonly" });
    preferVoice(transceiver, { red: false });
    limitRate(transceiver.sender);
    this.#encryption?.apply(transceiver, { own: participant, id: "" });
    const offer = await uplink.createOffer();
    this.#feed = `${participant}.${crypto.randomUUID().slice(0, 8)}`;
    publisher.onEvent = (event) => this.#onEvent(event);
    const display = `${seal}.${LEVEL.exec(offer.sdp)?.[1] ?? 0}`;
    const { data } = await publisher.message({
      request: "join",
      ptype: "publisher",
      room,
      id: this.#feed,
      display,
      token,
    });
    this.#privateId = data.private_id;
    await uplink.setLocalDescription(offer);
    await this.#offer("publish");
    this.#add(data.publishers);
    return { lost };
  }

  #leave() {
    for (const feed of [...this.#voices.keys()]) this.#remove(feed);
    this.#uplink?.close();
    this.#session?.close();
    this.#uplink = this.#publisher = this.#session = null;
    this.#watch = new PathWatch();
  }

  #connect(handle) {
    const connection = new RTCPeerConnection(rtcConfiguration(this.#room));
    connection.onicecandidate = ({ candidate }) => handle.trickle(candidate);
    return connection;
  }

  /** `request` is "publish" or, for other addresses, "configure". */
  async #offer(request) {
    const { jsep } = await this.#publisher.message({ request }, this.#description(this.#uplink));
    await this.#uplink.setRemoteDescription(jsep);
  }

  #description({ localDescription: { type, sdp } }) {
    return { type, sdp, ...(this.#encryption && { e2ee: true }) };
  }

  #onEvent({ janus, data }) {
    if (["hangup", "detached"].includes(janus) || data.videoroom === "destroyed") {
      this.#lose();
      return;
    }
    this.#add(data.publishers);
    const gone = data.unpublished ?? data.leaving ?? data.kicked;
    if (gone === "ok" || gone === this.#feed) this.#lose();
    else if (gone !== undefined) this.#remove(gone);
  }

  // The voices.

  #voicesOf(id) {
    return [...this.#voices.values()].filter((voice) => voice.id === id);
  }

  #add(publishers = []) {
    for (const { id: feed } of publishers) {
      if (this.#voices.has(feed) || feed === this.#feed) continue;
      const voice = new Voice(feed);
      this.#voices.set(feed, voice);
      this.#hear(voice);
    }
  }

  async #hear(voice) {
    const { feed } = voice;
    for (const delay of [...RETRY_MS, null]) {
      try {
        await this.#subscribe(voice);
        return;
      } catch (error) {
        console.warn(`${feed} can't be heard:`, error.message);
        voice.close();
      }
      if (delay !== null) await pause(delay);
      if (this.#voices.get(feed) !== voice) return;
    }
    this.#remove(feed);
  }

  async #subscribe(voice) {
    const { id, feed } = voice;
    const handle = await this.#session.attach(PLUGIN);
    voice.handle = handle;
    const streams = [{ feed }];
    const wish = {
      request: "join",
      ptype: "subscriber",
      room: this.#ticket.room,
      private_id: this.#privateId,
      streams,
    };
    const { jsep } = await handle.message(wish);
    const connection = this.#connect(handle);
    voice.connection = connection;
    connection.ontrack = ({ track }) => {
      voice.track = track;
      this.#present(voice);
    };
    connection.onconnectionstatechange = () => {
      this.dispatchEvent(new CustomEvent("state", { detail: { id, state: this.state(id) } }));
      if (connection.connectionState !== "failed" || this.#voices.get(feed) !== voice) return;
      this.#remove(feed);
      this.#add([{ id: feed }]);
    };
    await connection.setRemoteDescription(jsep);
    this.#encryption?.apply(connection.getTransceivers()[0], { own: "", id });
    await this.#answer(voice);
  }

  async #answer({ connection, handle }) {
    await connection.setLocalDescription();
    await handle.message({ request: "start" }, this.#description(connection));
  }

  // The media server may be ahead of the room server: who is not known yet is not played.
  #present(voice) {
    const { id, track } = voice;
    if (track === null || voice.shown || !this.#room.participants.has(id)) return;
    voice.shown = true;
    this.dispatchEvent(new CustomEvent("track", { detail: { id, track } }));
  }

  #remove(feed) {
    const voice = this.#voices.get(feed);
    if (!voice) return;
    this.#voices.delete(feed);
    voice.close();
    const { id } = voice;
    // Of two feeds of the same participant the older one may linger.
    if (this.#voicesOf(id).length === 0) this.dispatchEvent(new CustomEvent("gone", { detail: { id } }));
  }

  // When no voice arrives any more, the path to the server is dead.

  async #inspect() {
    let count = 0;
    for (const { connection } of this.#voices.values()) {
      if (connection) count += packetsReceived(await connection.getStats());
    }
    if (this.#watch.update(count, performance.now()) !== "dead") return;
    if (this.#voices.size > 0) await this.#mend();
    else this.#watch.reset(); // everybody has left
  }

  // The machine is on another network: what was in use is gone, whatever it says.
  #onNetwork = () => this.#mend(() => this.#session?.renew());

  /** Exchange the paths, after `before`; come in anew when that fails and nothing else was begun since. */
  async #mend(before = () => {}) {
    const mending = ++this.#mending;
    const lose = this.#lose;
    this.#watch.reset();
    try {
      await before();
      await this.#repair();
    } catch {
      if (mending === this.#mending) lose();
    }
  }

  async #repair() {
    if (!this.#uplink) return;
    this.#uplink.setConfiguration(rtcConfiguration(this.#room));
    this.#uplink.restartIce();
    await this.#uplink.setLocalDescription();
    await this.#offer("configure");
    for (const voice of this.#voices.values()) {
      if (!voice.connection) continue;
      const { jsep } = await voice.handle.message({ request: "configure", restart: true });
      await voice.connection.setRemoteDescription(jsep);
      await this.#answer(voice);
    }
  }
}
