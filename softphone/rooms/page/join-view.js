// The form: name, devices and, if need be, the room.

import { isRoomName } from "./address.js";
import { byId, setAttribute, setLevel, setText, show } from "./dom.js";
import { canEncrypt } from "./encryption.js";
import { barLength } from "./level.js";
import { preferences } from "./storage.js";
import { strings } from "./strings.js";
import { showView } from "./view.js";

const METER_MS = 100;

export class JoinView {
  #room;
  #microphone;
  #timer = null;

  /** `submit({ room, name, muted, passphrase })`, `retry()` opens the microphone again. */
  constructor({ room, name, passphrase, microphone, submit, retry }) {
    this.#room = room;
    this.#microphone = microphone;
    show(byId("room-field"), room === "");
    setText(byId("join-title"), strings.join.title(room));
    byId("name").value = name || (preferences().name ?? "");
    byId("passphrase").value = passphrase;
    byId("passphrase").disabled = !canEncrypt;
    byId("join-more").open = passphrase !== "";
    setText(byId("passphrase-hint"), canEncrypt ? strings.join.passphraseHint : strings.join.cannotEncrypt);
    byId("microphone-again").onclick = retry;
    byId("join-form").onsubmit = (event) => {
      event.preventDefault();
      this.#submit(submit);
    };
  }

  show({ problem = "", nameProblem = "" } = {}) {
    setText(byId("join-problem"), problem);
    show(byId("join-problem"), problem !== "");
    showView("join", this.#room ? strings.title.room(this.#room) : strings.title.join);
    this.#complain("name", nameProblem);
    this.#timer ??= setInterval(
      () => setLevel(byId("microphone-level"), barLength(this.#microphone.level())),
      METER_MS,
    );
  }

  hide() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  /** `code` of a MicrophoneProblem, or "". */
  showMicrophoneProblem(code) {
    setText(byId("microphone-problem-text"), strings.microphone[code] ?? "");
    show(byId("microphone-problem"), code !== "");
    show(byId("microphone-again"), !["insecure", "unsupported"].includes(code));
    show(byId("microphone-level"), code === "");
    setText(byId("join-button"), code ? strings.join.joinSilent : strings.join.join);
  }

  #submit(submit) {
    const room = this.#room || byId("room-name").value.trim().toLowerCase();
    if (!isRoomName(room)) {
      setText(byId("room-hint"), strings.join.badRoom);
      setAttribute(byId("room-name"), "aria-invalid", true);
      byId("room-name").focus();
      return;
    }
    submit({
      room,
      name: byId("name").value.trim(),
      muted: byId("join-muted").checked,
      passphrase: byId("passphrase").value.trim(),
    });
  }

  #complain(field, text) {
    const node = byId(`${field}-error`);
    setText(node, text);
    show(node, text !== "");
    setAttribute(byId(field), "aria-invalid", text ? true : null);
    if (text) byId(field).focus();
  }
}
