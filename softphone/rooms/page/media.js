// The microphone: opened, muted, exchanged for another one, measured.
//
// Events: "track" (there is another track to send), "lost" (the device is gone).

import { LevelMeter } from "./level.js";

/** `code` is insecure, unsupported, denied, none, busy or failed. */
export class MicrophoneProblem extends Error {
  constructor(code, cause) {
    super(`microphone: ${code}`, { cause });
    this.code = code;
  }
}

const PROBLEMS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "busy",
  AbortError: "busy",
};

export class Microphone extends EventTarget {
  #stream = null;
  #muted = false;
  #silence = null;
  #meter = new LevelMeter();
  #turn = 0;

  /** What to send: the microphone, or silence while there is none. */
  get track() {
    return this.#stream?.getAudioTracks()[0] ?? this.#silentTrack();
  }

  get isOpen() {
    return this.#stream !== null;
  }

  get deviceId() {
    return this.#stream?.getAudioTracks()[0].getSettings().deviceId ?? "";
  }

  get muted() {
    return this.#muted;
  }

  set muted(muted) {
    this.#muted = muted;
    if (this.#stream) this.track.enabled = !muted;
  }

  /** Open a device, the usual one without `deviceId`; throws a MicrophoneProblem. */
  async open({ deviceId = "", processing = true } = {}) {
    const turn = ++this.#turn;
    const stream = await request(deviceId, processing);
    if (turn !== this.#turn) {
      for (const track of stream.getTracks()) track.stop(); // a later choice overtook this one
      return;
    }
    this.#release();
    this.#stream = stream;
    this.track.enabled = !this.#muted;
    this.track.onended = () => {
      this.#release();
      this.dispatchEvent(new Event("track"));
      this.dispatchEvent(new Event("lost"));
    };
    this.#meter.connect(stream);
    this.dispatchEvent(new Event("track"));
  }

  /** From 0 to 1. */
  level() {
    return this.#stream ? this.#meter.level() : 0;
  }

  close() {
    this.#turn++;
    this.#release();
    this.#meter.close();
    this.#silence?.context.close();
    this.#silence = null;
  }

  #release() {
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#stream = null;
  }

  // A connection without packets looks dead to the other end, so silence is sent as well.
  #silentTrack() {
    if (this.#silence === null) {
      const context = new AudioContext();
      const destination = context.createMediaStreamDestination();
      const nothing = new ConstantSourceNode(context, { offset: 0 });
      nothing.connect(destination);
      nothing.start();
      this.#silence = { context, track: destination.stream.getAudioTracks()[0] };
    }
    return this.#silence.track;
  }
}

async function request(deviceId, processing) {
  if (!isSecureContext) throw new MicrophoneProblem("insecure");
  if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneProblem("unsupported");
  const audio = {
    channelCount: 1,
    echoCancellation: processing,
    noiseSuppression: processing,
    autoGainControl: processing,
    ...(deviceId && { deviceId: { exact: deviceId } }),
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    // The device that was used last time may be unplugged.
    if (deviceId && error.name === "OverconstrainedError") return request("", processing);
    throw new MicrophoneProblem(PROBLEMS[error.name] ?? "failed", error);
  }
}
