// Starts the page: the form, the stay in the room, and what comes after it.

import { goTo, hideSecrets, roomOf, secretsOf } from "./address.js";
import { DeviceMenus } from "./device-menus.js";
import { onceMicrophoneAllowed } from "./devices.js";
import { byId, fillStrings, setText, show } from "./dom.js";
import { JoinView } from "./join-view.js";
import { Microphone } from "./media.js";
import { Playback } from "./playback.js";
import { RoomView } from "./room-view.js";
import { Session } from "./session.js";
import { keepPlace, place, prefer, preferences, wasReloaded } from "./storage.js";
import { sentence, strings } from "./strings.js";
import { isSupported } from "./support.js";
import { showEnd, showWait } from "./view.js";

/** Reasons after which it is worth trying again, and those after which one simply may come back. */
const LATER = new Set([
  "timeout",
  "room-full",
  "lobby-full",
  "locked",
  "server-full",
  "engine",
  "encryption",
]);
const BACK = new Set(["left", "other"]);

class Page {
  #room = roomOf(location);
  #token = "";
  #microphone = new Microphone();
  #playback = new Playback();
  #menus = null;
  #form = null;
  #session = null;
  #view = null;

  start() {
    byId("loading").remove();
    fillStrings(document);
    const secrets = secretsOf(location);
    if (secrets) hideSecrets();
    if (!isSupported()) {
      showEnd({ code: "unsupported" });
      return;
    }
    const kept = place(this.#room);
    this.#token = secrets?.token ?? kept.token ?? "";
    if (secrets) keepPlace(this.#room, { token: this.#token, passphrase: secrets.passphrase });
    const passphrase = secrets?.passphrase || kept.passphrase || "";
    this.#wire();
    this.#form = new JoinView({
      room: this.#room,
      name: kept.name ?? "",
      passphrase,
      microphone: this.#microphone,
      submit: (wishes) => this.#join(wishes),
      retry: () => this.#openMicrophone(),
    });
    if (!secrets && wasReloaded(this.#room)) this.#comeBack(kept, passphrase);
    else this.#showForm();
  }

  #wire() {
    const choose = (deviceId) => this.#chooseMicrophone(deviceId);
    this.#menus = new DeviceMenus({ microphone: this.#microphone, playback: this.#playback, choose });
    this.#microphone.addEventListener("lost", () => this.#replaceMicrophone());
    byId("processing").checked = preferences().processing ?? true;
    byId("processing").onchange = ({ target }) => {
      prefer({ processing: target.checked });
      this.#chooseMicrophone(this.#microphone.deviceId);
    };
    byId("tones").checked = preferences().tones ?? false;
    byId("tones").onchange = ({ target }) => prefer({ tones: target.checked });
    // Another link pasted into this tab changes only what is after the #.
    addEventListener("hashchange", () => {
      if (this.#session === null && secretsOf(location)) location.reload();
      else hideSecrets();
    });
  }

  async #showForm(problems) {
    this.#form.show(problems);
    if (!this.#microphone.isOpen) await this.#openMicrophone();
  }

  // The microphone.

  async #openMicrophone(deviceId = preferences().microphone ?? "") {
    try {
      await this.#microphone.open({ deviceId, processing: preferences().processing ?? true });
      this.#showMicrophoneProblem("");
    } catch (error) {
      this.#showMicrophoneProblem(error.code ?? "failed");
      onceMicrophoneAllowed(() => this.#openMicrophone());
    }
    await this.#menus.update();
    this.#view?.update();
  }

  async #chooseMicrophone(deviceId) {
    if (deviceId) prefer({ microphone: deviceId });
    await this.#openMicrophone(deviceId);
  }

  async #replaceMicrophone() {
    await this.#openMicrophone("");
    const { track, isOpen } = this.#microphone;
    this.#view?.notice(isOpen ? strings.devices.back(track.label) : strings.devices.lost);
  }

  #showMicrophoneProblem(code) {
    this.#form.showMicrophoneProblem(code);
    setText(byId("settings-problem"), strings.microphone[code] ?? "");
    show(byId("settings-problem"), code !== "");
  }

  // The stay.

  #join({ room, name, muted, passphrase }) {
    if (this.#room !== room) {
      this.#room = room;
      goTo(room);
    }
    prefer({ name });
    keepPlace(room, { token: this.#token, passphrase, name });
    this.#microphone.muted = muted;
    this.#enter({ name, passphrase });
  }

  async #comeBack({ name = "", muted = false, resume }, passphrase) {
    this.#microphone.muted = muted;
    showWait(strings.wait.connecting, strings.wait.connectingText, () => location.reload());
    await this.#openMicrophone();
    this.#enter({ name, passphrase, resume });
  }

  #enter({ name, passphrase, resume = "" }) {
    this.#form.hide();
    const session = new Session({
      name: this.#room,
      token: this.#token,
      wish: name,
      microphone: this.#microphone,
      playback: this.#playback,
    });
    this.#session = session;
    session.addEventListener("state", () => this.#onState(Boolean(passphrase)));
    session.addEventListener("changed", () => this.#view?.update());
    session.addEventListener("ended", ({ detail }) => this.#onEnded(detail));
    this.#onState(Boolean(passphrase));
    session.start({ passphrase, resume });
  }

  #onState(encrypted) {
    const session = this.#session;
    const { wait } = strings;
    const cancel = () => session.leave();
    if (session.state === "joined") this.#view ??= this.#openRoom();
    this.#view?.update();
    if (session.state === "preparing")
      showWait(wait.connecting, encrypted ? wait.key : wait.connectingText, cancel);
    if (session.state === "connecting") showWait(wait.connecting, wait.connectingText, cancel);
    if (session.state === "unreachable") showWait(wait.connecting, wait.unreachable, cancel);
    if (session.state === "waiting") showWait(wait.lobby, wait.lobbyText, cancel);
  }

  #openRoom() {
    return new RoomView({
      name: this.#room,
      token: this.#token,
      session: this.#session,
      microphone: this.#microphone,
      playback: this.#playback,
    });
  }

  #onEnded({ code, message }) {
    const inside = this.#view !== null;
    this.#view?.close();
    this.#view = this.#session = null;
    if (code === "left" && !inside) {
      this.#showForm();
      return;
    }
    if (code === "bad-name") {
      this.#showForm({ nameProblem: sentence(message) || strings.join.badName });
      return;
    }
    this.#microphone.close();
    const known = code in strings.ended ? code : "other";
    const own = ["left", "unauthorized", "token-expired", "wrong-room"].includes(known);
    const again = {
      again: LATER.has(known) ? strings.ended.retry : strings.ended.again,
      onAgain: () => this.#showForm(),
    };
    showEnd(
      { code: known, message: own ? "" : sentence(message) },
      LATER.has(known) || BACK.has(known) ? again : {},
    );
  }
}

new Page().start();
