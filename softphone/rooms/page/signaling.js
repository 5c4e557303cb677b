// The WebSocket to the room server: greets, joins, comes back by itself when it is lost.
//
// Events: "message" (detail: the message), "lost", "ended" (detail: { code, message }).

import { Backoff } from "./backoff.js";

const VERSIONS = [1];
const SILENCE_MS = 12_000;
const RATE_LIMIT_MS = 10_000;
const SAY_BYE_MS = 200;

export class Signaling extends EventTarget {
  #url;
  #hello;
  #join;
  #socket = null;
  #joined = false;
  #ended = false;
  #backoff = new Backoff();
  #retry = null;
  #watch = null;

  /** `hello` and `join` hold the members of these messages, without `versions` and `resume`. */
  constructor({ url, hello, join, resume = "" }) {
    super();
    this.#url = url;
    this.#hello = hello;
    this.#join = { ...join, resume };
  }

  start() {
    this.#open();
    addEventListener("online", this.#wake);
  }

  /** Whether the message left; while the connection is lost nothing does. */
  send(message) {
    if (!this.#joined || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Leave for good. */
  close() {
    if (this.#ended) return;
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "bye" }));
    this.#finish();
    setTimeout(() => socket?.close(), SAY_BYE_MS);
  }

  #open() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#joined = false;
    this.#listen();
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", versions: VERSIONS, ...this.#hello }));
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#listen();
      this.#receive(JSON.parse(data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lose(this.#backoff.next());
    };
  }

  // Messages that are not for the connection itself go on to the room.
  #receive(message) {
    if (message.type === "alive") return;
    if (message.type === "welcome") {
      this.#socket.send(JSON.stringify({ type: "join", ...this.#join }));
      return;
    }
    if (message.type === "bye" && message.reason === "stopping") {
      this.#lose(this.#backoff.next());
      return;
    }
    if (message.type === "error" && message.code === "rate-limit") {
      this.#lose(RATE_LIMIT_MS);
      return;
    }
    if (message.type === "bye" || message.type === "error") {
      this.#finish();
      const { code = message.reason, message: text = "" } = message;
      this.dispatchEvent(new CustomEvent("ended", { detail: { code, message: text } }));
      return;
    }
    if (message.type === "joined") {
      this.#joined = true;
      this.#join.resume = message.resume;
      this.#backoff.reset();
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  // A page can't see pings, so it trusts the server to say `alive`.
  #listen() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lose(this.#backoff.next()), SILENCE_MS);
  }

  #lose(delay) {
    if (this.#ended) return;
    this.#drop();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), delay);
    this.dispatchEvent(new Event("lost"));
  }

  #drop() {
    clearTimeout(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    this.#joined = false;
    socket?.close();
  }

  #finish() {
    this.#ended = true;
    clearTimeout(this.#watch);
    clearTimeout(this.#retry);
    removeEventListener("online", this.#wake);
    this.#socket = null;
    this.#joined = false;
  }

  #wake = () => {
    if (this.#ended || this.#socket !== null) return;
    clearTimeout(this.#retry);
    this.#open();
  };
}
