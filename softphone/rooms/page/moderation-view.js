// What moderators see: who waits to be let in, and the switches of the room.

import { byId, show } from "./dom.js";
import { strings } from "./strings.js";

export class ModerationView {
  #session;
  #visitors = new Map();

  /** `end()` asks whether to end the room. */
  constructor({ session, end }) {
    this.#session = session;
    byId("lobby-list").replaceChildren();
    byId("lock").onchange = ({ target }) => session.moderate({ type: "room-update", locked: target.checked });
    byId("use-lobby").onchange = ({ target }) =>
      session.moderate({ type: "room-update", lobby: target.checked });
    byId("end-room").onclick = end;
  }

  update() {
    const { isModerator, locked, lobby, waiting } = this.#session.room;
    show(byId("moderation"), isModerator);
    show(byId("lobby"), isModerator && waiting.size > 0);
    byId("lock").checked = locked;
    byId("use-lobby").checked = lobby;
    for (const id of [...this.#visitors.keys()]) if (!waiting.has(id)) this.#drop(id);
    for (const visitor of waiting.values()) this.#show(visitor);
  }

  #show({ id, name }) {
    const node = this.#visitors.get(id) ?? this.#add(id);
    node.querySelector(".visitor-name").textContent = name;
    const { admit, deny, admitOf, denyOf } = strings.lobby;
    for (const [action, label, full] of [
      ["admit", admit, admitOf(name)],
      ["deny", deny, denyOf(name)],
    ]) {
      const button = node.querySelector(`.visitor-${action}`);
      button.textContent = label;
      button.setAttribute("aria-label", full);
      button.onclick = () => this.#session.moderate({ type: action, peer: id });
    }
  }

  #add(id) {
    const node = byId("visitor").content.firstElementChild.cloneNode(true);
    this.#visitors.set(id, node);
    byId("lobby-list").append(node);
    return node;
  }

  #drop(id) {
    const node = this.#visitors.get(id);
    const focused = node.contains(document.activeElement);
    node.remove();
    this.#visitors.delete(id);
    if (focused) (byId("lobby-list").querySelector("button") ?? byId("people-title")).focus();
  }
}
