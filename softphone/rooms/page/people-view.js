// The list of participants, with their levels and the quality of their sound.

import { byId, setText } from "./dom.js";
import { PersonCard } from "./person-card.js";
import { StatisticsWindow, quality } from "./statistics.js";
import { strings } from "./strings.js";

const LEVELS_MS = 100;
const STATISTICS_MS = 1_000;

export class PeopleView {
  /** Numbers of the last seconds by id, for the statistics. */
  numbers = new Map();

  #session;
  #microphone;
  #playback;
  #remove;
  #cards = new Map();
  #windows = new Map();
  #timers;

  /** `remove(participant)` asks whether to. */
  constructor({ session, microphone, playback, remove }) {
    this.#session = session;
    this.#microphone = microphone;
    this.#playback = playback;
    this.#remove = remove;
    byId("people").replaceChildren();
    this.#timers = [
      setInterval(() => this.#showLevels(), LEVELS_MS),
      setInterval(() => this.#measure(), STATISTICS_MS),
    ];
  }

  update() {
    const { room } = this.#session;
    const people = [room, ...room.participants.values()];
    for (const id of [...this.#cards.keys()]) if (!people.some((person) => person.id === id)) this.#drop(id);
    for (const person of people) this.#show(person);
    setText(byId("people-title"), strings.room.people(people.length, room.capacity));
  }

  close() {
    for (const timer of this.#timers) clearInterval(timer);
    for (const id of [...this.#cards.keys()]) this.#drop(id);
  }

  #show(person) {
    const { room } = this.#session;
    const own = person === room;
    const card = this.#cards.get(person.id) ?? this.#add(person.id, own);
    const numbers = this.numbers.get(person.id);
    card.update({
      person,
      muted: own ? this.#microphone.muted : person.muted,
      state: own ? "connected" : this.#session.pathState(person.id),
      quality: numbers ? quality(numbers) : "",
      turn: room.turn(person.hand),
      canModerate: room.isModerator,
      hasMicrophone: this.#microphone.isOpen,
    });
  }

  #add(id, own) {
    const actions = {
      setVolume: (volume) => this.#playback.setVolume(id, volume),
      mute: () => this.#session.moderate({ type: "mute", peer: id }),
      remove: () => this.#remove(this.#session.room.participants.get(id)),
    };
    const card = new PersonCard({ id, own, volume: this.#playback.volume(id), actions });
    this.#cards.set(id, card);
    byId("people")[own ? "prepend" : "append"](card.node);
    return card;
  }

  #drop(id) {
    const { node } = this.#cards.get(id);
    const focused = node.contains(document.activeElement);
    node.remove();
    if (focused) byId("people-title").focus();
    this.#cards.delete(id);
    this.#windows.delete(id);
    this.numbers.delete(id);
  }

  #showLevels() {
    if (document.hidden) return;
    for (const [id, card] of this.#cards) {
      const own = id === this.#session.room.id;
      card.setLevel(own ? this.#microphone.level() : this.#audible(id));
    }
  }

  #audible(id) {
    return this.#session.room.participants.get(id)?.muted ? 0 : this.#session.level(id);
  }

  async #measure() {
    for (const id of this.#session.room.participants.keys()) {
      const reports = await this.#session.statistics(id);
      if (!reports || !this.#cards.has(id)) continue;
      if (!this.#windows.has(id)) this.#windows.set(id, new StatisticsWindow());
      this.numbers.set(id, this.#windows.get(id).update(reports, performance.now()));
    }
    this.update();
    this.onMeasured?.();
  }
}
