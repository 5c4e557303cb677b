// A session on a Janus server over its WebSocket (sub-protocol janus-protocol).

import { pause } from "./backoff.js";

const PATIENCE_MS = 10_000;
const KEEP_ALIVE_MS = 25_000;
const CLAIM_AFTER_MS = [0, 500, 1_000, 2_000];

/** A refusal of Janus, or no answer. */
export class JanusError extends Error {}

/** One peer connection on the server. `onEvent({ janus, data })` hears what Janus tells on its own. */
class JanusHandle {
  onEvent = null;

  constructor(session, id) {
    this.session = session;
    this.id = id;
  }

  /** Ask the plug-in; resolves with { data, jsep }. */
  async message(body, jsep = undefined) {
    const { plugindata, jsep: answer } = await this.session.request({
      janus: "message",
      handle_id: this.id,
      body,
      jsep,
    });
    const data = plugindata?.data ?? {};
    if (data.error) throw new JanusError(data.error);
    return { data, jsep: answer };
  }

  /** `candidate` as in onicecandidate; null: no more will come. */
  trickle(candidate) {
    this.session.tell({
      janus: "trickle",
      handle_id: this.id,
      candidate: candidate?.toJSON() ?? { completed: true },
    });
  }

  detach() {
    this.session.forget(this);
    this.session.tell({ janus: "detach", handle_id: this.id });
  }
}

export class JanusSession {
  /** Called once when the session has ended without close(). */
  onLost = null;

  #url;
  #token;
  #socket = null;
  #id = null;
  #waiting = new Map();
  #handles = new Map();
  #keepAlive = null;
  #claiming = null;
  #ended = false;

  constructor(url, token) {
    this.#url = url;
    this.#token = token;
  }

  async open() {
    await this.#connect();
    this.#id = (await this.request({ janus: "create" })).data.id;
    this.#keepAlive = setInterval(() => this.tell({ janus: "keepalive" }), KEEP_ALIVE_MS);
    return this;
  }

  async attach(plugin) {
    const { data } = await this.request({ janus: "attach", plugin });
    const handle = new JanusHandle(this, data.id);
    this.#handles.set(data.id, handle);
    return handle;
  }

  forget(handle) {
    this.#handles.delete(handle.id);
  }

  /** Send without caring for the answer. */
  tell(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send(crypto.randomUUID(), message);
  }

  /** Send and wait for the answer; throws a JanusError. */
  request(message) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new JanusError("there is no connection to Janus"));
        return;
      }
      const transaction = crypto.randomUUID();
      const timer = setTimeout(
        () => this.#settle(transaction, "reject", new JanusError("Janus did not answer")),
        PATIENCE_MS,
      );
      this.#waiting.set(transaction, { resolve, reject, timer });
      this.#send(transaction, message);
    });
  }

  /** Go on over a new connection, whether or not the old one seems to live; throws a JanusError. */
  async renew() {
    const former = this.#socket;
    this.#socket = null;
    if (this.#claiming) former?.close(); // an attempt that was made before
    await this.#claim();
    former?.close(); // not earlier: Janus may end a session when its connection is closed
    if (this.#ended) throw new JanusError("the session has ended");
  }

  close() {
    this.tell({ janus: "destroy" });
    this.#end();
    this.#socket?.close();
  }

  #send(transaction, message) {
    const session = this.#id === null ? {} : { session_id: this.#id };
    const token = this.#token ? { token: this.#token } : {};
    this.#socket.send(JSON.stringify({ transaction, ...session, ...token, ...message }));
  }

  #connect() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#url, "janus-protocol");
      this.#socket = socket;
      socket.onopen = resolve;
      socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
      socket.onclose = () => {
        reject(new JanusError("Janus can't be reached"));
        if (socket === this.#socket && this.#id !== null && !this.#ended) this.#claim();
      };
    });
  }

  // Janus may keep the session, and with it the media, for a while without a connection.
  #claim() {
    this.#claiming ??= this.#tryToClaim().finally(() => (this.#claiming = null));
    return this.#claiming;
  }

  async #tryToClaim() {
    for (const [transaction] of this.#waiting)
      this.#settle(transaction, "reject", new JanusError("the connection was lost"));
    this.#socket = null;
    for (const delay of CLAIM_AFTER_MS) {
      await pause(delay);
      if (this.#ended) return;
      try {
        await this.#connect();
      } catch {
        continue;
      }
      try {
        await this.request({ janus: "claim" });
        return;
      } catch {
        break;
      }
    }
    this.#lose();
  }

  #receive(message) {
    const { janus, transaction, sender } = message;
    if (janus === "ack") return;
    if (janus === "timeout" && sender === undefined) this.#lose();
    else if (janus === "error") this.#settle(transaction, "reject", new JanusError(message.error?.reason));
    else if (this.#waiting.has(transaction)) this.#settle(transaction, "resolve", message);
    else this.#handles.get(sender)?.onEvent?.({ janus, data: message.plugindata?.data ?? {} });
  }

  #settle(transaction, how, value) {
    const waiting = this.#waiting.get(transaction);
    this.#waiting.delete(transaction);
    clearTimeout(waiting?.timer);
    waiting?.[how](value);
  }

  #lose() {
    if (this.#ended) return;
    this.#end();
    this.#socket?.close();
    this.onLost?.();
  }

  #end() {
    this.#ended = true;
    clearInterval(this.#keepAlive);
    for (const [transaction] of this.#waiting)
      this.#settle(transaction, "reject", new JanusError("the session has ended"));
    this.#handles.clear();
  }
}
