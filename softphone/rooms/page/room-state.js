// The room as the server describes it. apply() takes a message and tells what happened in it.

const CHAT_LINES = 500;

function participant(values) {
  const defaults = { role: "participant", verified: false, capabilities: {}, muted: false, hand: 0 };
  return { ...defaults, recording: false, away: false, ...values };
}

export class RoomState {
  id = "";
  name = "";
  role = "participant";
  muted = false;
  hand = 0;
  verified = false;
  recording = false;
  /** Others by id, in the order of coming in. */
  participants = new Map();
  /** People in the lobby by id; only moderators know. */
  waiting = new Map();
  locked = false;
  lobby = false;
  capacity = 0;
  engine = "mesh";
  connection = {};
  iceServers = [];
  relayOnly = false;
  chat = [];
  /** Ids that a server which has restarted has not seen yet. */
  missing = new Set();

  get isModerator() {
    return this.role === "moderator";
  }

  /** Place of a raised hand among those raised, from 1. */
  turn(hand) {
    const raised = [this, ...this.participants.values()].map((each) => each.hand);
    return 1 + raised.filter((other) => other > 0 && other < hand).length;
  }

  nameOf(id) {
    return id === this.id ? this.name : (this.participants.get(id)?.name ?? "");
  }

  /** A list of { type, ... }; messages that are not about the room give an empty one. */
  apply(message) {
    return this.#handlers[message.type]?.(message) ?? [];
  }

  /** Give those up who did not come back to a server that has restarted. */
  settle() {
    return [...this.missing].flatMap((id) => this.#leave(id, "gone"));
  }

  #handlers = {
    joined: (message) => this.#joined(message),
    "peer-joined": ({ participant: who }) => {
      const back = this.missing.delete(who.id);
      this.participants.set(who.id, participant(who));
      return back ? [] : [{ type: "came", id: who.id, name: who.name }];
    },
    "peer-changed": ({ participant: who }) => this.#changed(participant(who)),
    "peer-left": ({ peer, reason }) => this.#leave(peer, reason),
    said: (message) => this.#said(message),
    muted: ({ peer }) => {
      this.muted = true;
      return [{ type: "muted-by", name: this.nameOf(peer) }];
    },
    "room-changed": ({ locked, lobby }) => {
      const happened = [];
      if (locked !== this.locked) happened.push({ type: locked ? "locked" : "unlocked" });
      if (lobby !== this.lobby) happened.push({ type: lobby ? "lobby-on" : "lobby-off" });
      Object.assign(this, { locked, lobby });
      return happened;
    },
    "lobby-joined": ({ id, name }) => {
      this.waiting.set(id, { id, name });
      return [{ type: "asks", id, name }];
    },
    "lobby-left": ({ id }) => {
      this.waiting.delete(id);
      return [];
    },
    "ice-servers": ({ ice_servers: servers }) => {
      this.iceServers = servers;
      return [];
    },
    refused: ({ code, message = "" }) => [{ type: "refused", code, message }],
  };

  #joined(message) {
    const { id, name, role, participants = [], waiting = [], resumed = false } = message;
    const before = resumed ? this.participants : new Map();
    Object.assign(this, { id, name, role, locked: message.locked ?? false, lobby: message.lobby ?? false });
    this.capacity = message.max_participants;
    this.engine = message.engine ?? "mesh";
    this.connection = message.connection ?? {};
    this.iceServers = message.ice_servers ?? [];
    this.relayOnly = message.relay_only ?? false;
    this.participants = new Map(participants.map((who) => [who.id, participant(who)]));
    this.waiting = new Map(waiting.map((who) => [who.id, who]));
    const absent = [...before.values()].filter((who) => !this.participants.has(who.id));
    const settling = (message.settle_seconds ?? 0) > 0;
    this.missing = new Set(settling ? absent.map((who) => who.id) : []);
    if (settling) for (const who of absent) this.participants.set(who.id, { ...who, away: true });
    if (!resumed) this.chat = [];
    const left = settling
      ? []
      : absent.map(({ id: gone, name: called }) => ({
          type: "left",
          id: gone,
          name: called,
          reason: "gone",
        }));
    return [{ type: resumed ? "resumed" : "joined" }, ...left];
  }

  #changed(now) {
    const own = now.id === this.id;
    const before = own ? this : this.participants.get(now.id);
    if (before === undefined) return [];
    const happened = [];
    if (now.hand > 0 && before.hand === 0 && !own) happened.push({ type: "hand", name: now.name });
    if (now.recording && !before.recording) happened.push({ type: "recording", name: now.name });
    if (now.away && !before.away) happened.push({ type: "away", name: now.name });
    if (own) {
      const { name, role, muted, hand, verified, recording } = now;
      Object.assign(this, { name, role, muted, hand, verified, recording });
    } else {
      this.participants.set(now.id, now);
    }
    return happened;
  }

  #leave(id, reason) {
    const who = this.participants.get(id);
    this.participants.delete(id);
    this.missing.delete(id);
    return who ? [{ type: "left", id, name: who.name, reason }] : [];
  }

  #said({ number, peer, name, text, time }) {
    if (this.chat.some((line) => line.number === number)) return [];
    const line = { number, name, text, time, own: peer === this.id };
    this.chat = [...this.chat, line].sort((a, b) => a.number - b.number).slice(-CHAT_LINES);
    return [{ type: "said", ...line }];
  }
}
