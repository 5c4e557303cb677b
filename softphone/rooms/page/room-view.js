// The room: puts its parts together, and tells what happens.

import { inviteLink } from "./address.js";
import { announce } from "./announcer.js";
import { ChatView } from "./chat-view.js";
import { byId, setAttribute, setText, show } from "./dom.js";
import { ModerationView } from "./moderation-view.js";
import { PeopleView } from "./people-view.js";
import { showStatistics } from "./statistics-view.js";
import { preferences } from "./storage.js";
import { strings } from "./strings.js";
import { playTones } from "./tones.js";
import { setTitle, showView } from "./view.js";

const NOTICE_MS = 8_000;
/** What is shown as well as announced. */
const SHOWN = new Set(["muted-by", "refused", "failing"]);
const SILENT = new Set(["joined", "resumed"]);

export class RoomView {
  #name;
  #token;
  #session;
  #microphone;
  #people;
  #chat;
  #moderation;
  #noticeTimer = null;
  #closing = new AbortController();

  constructor({ name, token, session, microphone, playback }) {
    this.#name = name;
    this.#token = token;
    this.#session = session;
    this.#microphone = microphone;
    this.#people = new PeopleView({
      session,
      microphone,
      playback,
      remove: (person) => this.#askRemove(person),
    });
    this.#people.onMeasured = () => showStatistics(session.room, this.#people.numbers);
    this.#chat = new ChatView({ session, notice: (text) => this.notice(text) });
    this.#moderation = new ModerationView({ session, end: () => this.#askEnd() });
    setText(byId("room-title"), name);
    this.#wire(playback);
    const { signal } = this.#closing;
    playback.addEventListener("blocked", () => show(byId("blocked"), true), { signal });
    playback.addEventListener("unblocked", () => show(byId("blocked"), false), { signal });
    session.addEventListener("happened", ({ detail }) => this.#happened(detail));
    showView("room", strings.title.room(name));
    if (matchMedia("(min-width: 60rem)").matches) {
      this.#chat.open(true);
      byId("room-title").focus();
    }
    this.update();
  }

  update() {
    const { room, state, isEncrypted } = this.#session;
    const { muted } = this.#microphone;
    const words = strings.controls;
    this.#people.update();
    this.#chat.update();
    this.#moderation.update();
    setText(byId("reconnecting"), state === "reconnecting" ? strings.room.reconnecting : "");
    control("mute", muted ? words.unmute : words.mute, muted ? "muted" : "microphone", muted);
    control("hand", room.hand > 0 ? words.lower : words.raise, "hand", room.hand > 0);
    const recorded = room.recording || [...room.participants.values()].some(({ recording }) => recording);
    const facts = { locked: room.locked, lobby: room.lobby, encrypted: isEncrypted, recording: recorded };
    const names = Object.keys(facts).filter((fact) => facts[fact]);
    setText(byId("room-facts"), names.map((fact) => strings.room.facts[fact]).join(" · "));
    show(byId("rename-field"), !room.verified);
    setTitle(muted ? strings.title.muted(this.#name) : strings.title.room(this.#name));
  }

  /** Show a sentence for a while. */
  notice(text) {
    setText(byId("notice"), text);
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => setText(byId("notice"), ""), NOTICE_MS);
  }

  close() {
    this.#closing.abort();
    this.#people.close();
    this.#chat.open(false);
    clearTimeout(this.#noticeTimer);
    setText(byId("notice"), "");
    setText(byId("reconnecting"), "");
    show(byId("blocked"), false);
  }

  #wire(playback) {
    const session = this.#session;
    byId("mute").onclick = () => {
      session.setMuted(!this.#microphone.muted);
      announce(strings.happened[this.#microphone.muted ? "muted" : "unmuted"]());
    };
    byId("hand").onclick = () => {
      const up = session.room.hand === 0;
      session.setHand(up);
      announce(strings.happened[up ? "handUp" : "handDown"]());
    };
    byId("leave").onclick = () => session.leave();
    byId("copy-link").onclick = () => this.#copyLink();
    byId("unblock").onclick = () => playback.unblock();
    byId("open-settings").onclick = () => {
      byId("rename").value = session.room.name;
      byId("settings").showModal();
    };
    byId("rename-button").onclick = () => session.rename(byId("rename").value);
    byId("open-statistics").onclick = () => {
      byId("statistics").showModal();
      showStatistics(session.room, this.#people.numbers);
    };
  }

  #happened(event) {
    const text = strings.happened[event.type](event);
    if (SHOWN.has(event.type)) this.notice(text);
    else if (!SILENT.has(event.type) && !(event.type === "said" && event.own)) announce(text);
    if (event.type === "said") this.#chat.received(event);
    if (["came", "left"].includes(event.type) && preferences().tones) playTones(event.type);
    if (event.type === "resumed") this.notice(text);
  }

  async #copyLink() {
    const { url, personal } = inviteLink(this.#name, this.#token);
    try {
      await navigator.clipboard.writeText(url);
      this.notice(personal ? strings.room.copiedPersonal : strings.room.copied);
    } catch {
      byId("link-text").value = url;
      byId("link").showModal();
      byId("link-text").select();
    }
  }

  #askRemove({ id, name }) {
    this.#ask(strings.question.remove(name), strings.question.removeYes, () => {
      this.#session.moderate({ type: "remove", peer: id });
    });
  }

  #askEnd() {
    this.#ask(strings.question.end, strings.question.endYes, () =>
      this.#session.moderate({ type: "end-room" }),
    );
  }

  #ask(text, yes, action) {
    const dialog = byId("question");
    setText(byId("question-text"), text);
    setText(byId("question-yes"), yes);
    dialog.returnValue = "";
    dialog.onclose = () => {
      if (dialog.returnValue === "yes") action();
    };
    dialog.showModal();
  }
}

function control(id, label, icon, active) {
  const button = byId(id);
  setText(button.querySelector("span"), label);
  setAttribute(button.querySelector("use"), "href", `#icon-${icon}`);
  button.classList.toggle("active", active);
}
