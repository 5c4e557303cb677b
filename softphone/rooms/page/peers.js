// The engine `mesh`: a connection with every other participant.
//
// An engine has the members of MeshEngine, and these events, all with `id` in their detail:
// "track" ({ id, track }: play it), "gone" ({ id }: stop playing), "state" ({ id, state }).

import { Peer } from "./peer.js";

const INSPECT_MS = 500;

export class MeshEngine extends EventTarget {
  #own;
  #peers = new Map();
  #context;
  #anew;
  #timer;

  /**
   * `room` is the RoomState, `send` sends to the server, `track` is what the others shall hear.
   * With `anew` the page was reloaded, and the others may still hold its former connections.
   */
  constructor({ room, send, track, encryption = null, anew = false }) {
    super();
    this.#own = room.id;
    this.#anew = anew;
    this.#context = {
      own: room.id,
      send,
      track,
      encryption,
      ice: { iceServers: room.iceServers, relayOnly: room.relayOnly },
    };
    this.#timer = setInterval(() => this.#inspect(), INSPECT_MS);
    addEventListener("online", this.#onNetwork);
    this.update(room);
    this.#anew = false;
  }

  /** Follow the room: connect with those who came, drop those who left. */
  update(room) {
    this.#context.ice = { iceServers: room.iceServers, relayOnly: room.relayOnly };
    for (const id of this.#peers.keys()) if (!room.participants.has(id)) this.#remove(id);
    for (const who of room.participants.values()) {
      const peer = this.#peers.get(who.id);
      if (peer) peer.away = who.away;
      else this.#add(who);
    }
  }

  /** Our signalling was lost and is back. */
  signalingReturned() {
    for (const peer of this.#peers.values()) peer.signalingReturned();
  }

  /** A `signal` message of the server. */
  receive(message) {
    this.#peers.get(message.peer)?.receive(message);
  }

  /** Let the others hear another track. */
  async replaceTrack(track) {
    this.#context.track = track;
    await Promise.all([...this.#peers.values()].map((peer) => peer.replaceTrack(track)));
  }

  /** "none", "negotiating", "connecting", "connected" or "restarting". */
  state(id) {
    return this.#peers.get(id)?.state ?? "none";
  }

  /** How loud a participant is now, from 0 to 1. */
  level(id) {
    const [source] = this.#peers.get(id)?.receiver?.getSynchronizationSources() ?? [];
    const fresh = source && performance.timeOrigin + performance.now() - source.timestamp < 500;
    return fresh ? (source.audioLevel ?? 0) : 0;
  }

  /** The reports of getStats() about the connection with a participant, or null without one. */
  async statistics(id) {
    return (await this.#peers.get(id)?.connection?.getStats()) ?? null;
  }

  close() {
    clearInterval(this.#timer);
    removeEventListener("online", this.#onNetwork);
    for (const id of [...this.#peers.keys()]) this.#remove(id);
  }

  #onNetwork = () => {
    for (const peer of this.#peers.values()) peer.networkChanged();
  };

  #add({ id, away, capabilities }) {
    const offerer = this.#own > id;
    const peer = new Peer({
      id,
      offerer,
      away,
      red: capabilities.red === true,
      anew: this.#anew,
      context: this.#context,
    });
    this.#peers.set(id, peer);
    peer.addEventListener("track", ({ detail: track }) => this.#emit("track", { id, track }));
    peer.addEventListener("state", () => this.#emit("state", { id, state: peer.state }));
  }

  #remove(id) {
    const peer = this.#peers.get(id);
    this.#peers.delete(id);
    peer.close();
    this.#emit("gone", { id });
  }

  async #inspect() {
    for (const peer of this.#peers.values()) {
      const { connection } = peer;
      const reports = await connection?.getStats();
      if (reports && connection === peer.connection) peer.inspect(reports, performance.now());
    }
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
