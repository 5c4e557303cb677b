// Which microphones and loudspeakers there are.

export const canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype;

/** { microphones, speakers }, each a list of { id, label }; labels are known once the microphone is allowed. */
export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const ofKind = (wanted) =>
    devices
      .filter(({ kind, deviceId }) => kind === wanted && deviceId !== "")
      .map(({ deviceId: id, label }) => ({ id, label }));
  return { microphones: ofKind("audioinput"), speakers: canChooseSpeaker ? ofKind("audiooutput") : [] };
}

export function onDevicesChanged(listener) {
  navigator.mediaDevices?.addEventListener?.("devicechange", listener);
}

/** Call back when the user allows the microphone after all. */
export async function onceMicrophoneAllowed(listener) {
  try {
    const status = await navigator.permissions.query({ name: "microphone" });
    if (status.state === "granted") return;
    status.onchange = () => {
      if (status.state !== "granted") return;
      status.onchange = null;
      listener();
    };
  } catch {
    return; // some browsers can't tell
  }
}
