// The lines of chat. They are strangers' text.

import { byId, setText, show } from "./dom.js";
import { strings } from "./strings.js";

const NEAR_END = 40;

export class ChatView {
  #session;
  #shown = "";
  #unread = 0;
  #notice;

  /** `notice(text)` shows a sentence to the user. */
  constructor({ session, notice }) {
    this.#session = session;
    this.#notice = notice;
    byId("chat-form").onsubmit = (event) => {
      event.preventDefault();
      this.#say();
    };
    byId("toggle-chat").onclick = () => this.open(byId("chat").hidden);
    this.update();
  }

  open(open) {
    show(byId("chat"), open);
    byId("toggle-chat").setAttribute("aria-expanded", open);
    byId("room-view").classList.toggle("with-chat", open);
    if (!open) return;
    this.#count(0);
    this.#toEnd();
    byId("chat-text").focus();
  }

  /** A line came just now. */
  received(line) {
    if (byId("chat").hidden && !line.own) this.#count(this.#unread + 1);
  }

  update() {
    const { chat } = this.#session.room;
    const state = chat.map(({ number }) => number).join();
    if (state === this.#shown) return;
    this.#shown = state;
    const scroll = byId("chat-scroll");
    const atEnd = scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - NEAR_END;
    byId("chat-lines").replaceChildren(...chat.map(lineNode));
    show(byId("chat-empty"), chat.length === 0);
    if (atEnd || chat.at(-1)?.own) this.#toEnd();
  }

  #say() {
    const text = byId("chat-text").value.trim();
    if (!text) return;
    if (this.#session.say(text)) byId("chat-text").value = "";
    else this.#notice(strings.chat.offline);
  }

  #count(unread) {
    this.#unread = unread;
    const badge = byId("unread");
    show(badge, unread > 0);
    setText(badge, String(unread));
    badge.setAttribute("aria-label", strings.chat.unread(unread));
  }

  #toEnd() {
    byId("chat-scroll").scrollTop = byId("chat-scroll").scrollHeight;
  }
}

function lineNode({ name, text, time, own }) {
  const node = document.createElement("li");
  const head = document.createElement("p");
  const who = document.createElement("b");
  const when = document.createElement("time");
  const said = document.createElement("p");
  const date = new Date(1000 * time);
  who.textContent = own ? strings.chat.you : name;
  when.dateTime = date.toISOString();
  when.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  head.className = "line-head";
  head.append(who, " ", when);
  said.textContent = text;
  node.classList.toggle("own", own);
  node.append(head, said);
  return node;
}
