// The card of one participant.

import { byId, setAttribute, setLevel, setText, show } from "./dom.js";
import { barLength } from "./level.js";
import { strings } from "./strings.js";

const TINTS = 6;
const SPEAKING = 0.02;
const DOTS = { good: 3, fair: 2, poor: 1 };
const words = strings.person;

export class PersonCard {
  node = byId("person").content.firstElementChild.cloneNode(true);

  #own;
  #parts = {};

  /** `actions`: setVolume(volume), mute(), remove(). Oneself has no volume and can't be removed. */
  constructor({ id, own, volume, actions }) {
    this.#own = own;
    const find = (selector) => this.node.querySelector(selector);
    for (const part of [
      "avatar",
      "name",
      "tags",
      "hand",
      "muted",
      "quality",
      "quality-text",
      "mute",
      "remove",
    ]) {
      this.#parts[part] = find(part === "avatar" ? ".avatar" : `.person-${part}`);
    }
    Object.assign(this.#parts, {
      verified: find(".verified"),
      meter: find(".meter"),
      details: find("details"),
      summary: find("summary"),
      volume: find("input"),
      moderator: find(".moderator-actions"),
    });
    this.#parts.avatar.classList.add(`tint-${tintOf(id)}`);
    this.#parts.volume.value = 100 * volume;
    this.#parts.volume.oninput = ({ target }) => actions.setVolume(target.value / 100);
    this.#parts.mute.onclick = actions.mute;
    this.#parts.remove.onclick = actions.remove;
    setText(this.#parts.summary, words.moreShort);
    show(this.#parts.details, !own);
  }

  /** `state` and `quality` describe the path, `turn` the place among raised hands; `canModerate` is about us. */
  update({ person, muted, state, quality, turn, canModerate, hasMicrophone }) {
    const { name, role, verified, recording, hand } = person;
    const parts = this.#parts;
    setText(parts.avatar, initials(name));
    setText(parts.name, name);
    const tags = [
      this.#own && words.you,
      role === "moderator" && words.moderator,
      recording && words.recording,
    ];
    setText(parts.tags, tags.filter(Boolean).join(" · "));
    show(parts.verified, verified);
    show(parts.hand, hand > 0);
    if (hand > 0) {
      setText(parts.hand.querySelector("b"), String(turn));
      setAttribute(parts.hand, "aria-label", words.hand(turn));
    }
    show(parts.muted, muted);
    setAttribute(parts.summary, "aria-label", words.more(name));
    setAttribute(parts.volume, "aria-label", words.volumeOf(name));
    setAttribute(parts.mute, "aria-label", words.muteOf(name));
    setAttribute(parts.remove, "aria-label", words.removeOf(name));
    show(parts.moderator, canModerate && !this.#own);
    show(parts.mute, !muted);
    this.node.classList.toggle("absent", state === "away");
    this.#showPath({ state, quality, muted, hasMicrophone });
  }

  /** `amplitude` from 0 to 1. */
  setLevel(amplitude) {
    setLevel(this.#parts.meter, barLength(amplitude));
    this.node.classList.toggle("speaking", amplitude > SPEAKING);
  }

  #showPath({ state, quality, muted, hasMicrophone }) {
    let text = words.quality[quality];
    if (this.#own) text = words.own[muted ? "muted" : hasMicrophone ? "on" : "silent"];
    else if (state !== "connected") text = { failing: words.passphrase }[state] ?? words[state];
    setText(this.#parts["quality-text"], text);
    const dots = this.#own || state !== "connected" ? 0 : (DOTS[quality] ?? 0);
    setAttribute(this.#parts.quality, "data-dots", dots);
    show(this.#parts.quality.querySelector(".dots"), !this.#own);
  }
}

function initials(name) {
  const parts = name.split(" ").filter(Boolean);
  const first = [parts[0], parts.length > 1 ? parts.at(-1) : ""];
  return first
    .map((part) => [...(part ?? "")][0] ?? "")
    .join("")
    .toUpperCase();
}

function tintOf(id) {
  return [...id].reduce((sum, character) => sum + character.codePointAt(0), 0) % TINTS;
}
