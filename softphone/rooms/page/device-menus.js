// The menus of microphones and loudspeakers, which are both in the form and in the settings.

import { canChooseSpeaker, listDevices, onDevicesChanged } from "./devices.js";
import { byId, setOptions, show } from "./dom.js";
import { prefer, preferences } from "./storage.js";
import { strings } from "./strings.js";

const MICROPHONES = ["microphone", "room-microphone"];
const SPEAKERS = ["speaker", "room-speaker"];

export class DeviceMenus {
  #microphone;
  #playback;

  /** `choose(id)` opens a microphone. */
  constructor({ microphone, playback, choose }) {
    this.#microphone = microphone;
    this.#playback = playback;
    for (const id of MICROPHONES) byId(id).onchange = ({ target }) => choose(target.value);
    for (const id of SPEAKERS) byId(id).onchange = ({ target }) => this.#chooseSpeaker(target.value);
    onDevicesChanged(() => this.update());
    if (preferences().speaker) this.#playback.setSpeaker(preferences().speaker);
  }

  async update() {
    const { microphones, speakers } = await listDevices();
    const chosen = this.#microphone.deviceId;
    const none = this.#microphone.isOpen ? [] : [{ id: "", label: strings.devices.none }];
    for (const id of MICROPHONES) setOptions(byId(id), [...none, ...named(microphones)], chosen);
    for (const id of SPEAKERS) {
      const usual = speakers.some((device) => device.id === "default")
        ? []
        : [{ id: "", label: strings.devices.system }];
      setOptions(byId(id), [...usual, ...named(speakers)], preferences().speaker);
    }
    const visible = canChooseSpeaker && speakers.length > 0;
    for (const field of document.querySelectorAll("[data-speakers]")) show(field, visible);
  }

  async #chooseSpeaker(speaker) {
    prefer({ speaker });
    await this.#playback.setSpeaker(speaker);
    await this.update();
  }
}

function named(devices) {
  return devices.map(({ id, label }, index) => ({ id, label: label || strings.devices.unnamed(index + 1) }));
}
