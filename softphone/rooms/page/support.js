// What a browser must have.

const NEEDED = [
  () => RTCPeerConnection.prototype.restartIce,
  () => RTCRtpTransceiver.prototype.setCodecPreferences || RTCRtpSender.prototype.replaceTrack,
  () => RTCRtpReceiver.prototype.getSynchronizationSources,
  () => HTMLDialogElement.prototype.showModal,
  () => AudioContext && WebSocket,
];

/** Whether calls are possible in this browser at all. */
export function isSupported() {
  return NEEDED.every((has) => {
    try {
      return Boolean(has());
    } catch {
      return false;
    }
  });
}

/** For the others to see, such as "Chrome 130". */
export function browserName() {
  const patterns = [
    ["Firefox", /Firefox\/(\d+)/],
    ["Edge", /Edg\/(\d+)/],
    ["Chrome", /Chrom(?:e|ium)\/(\d+)/],
    ["Safari", /Version\/(\d+).*Safari/],
  ];
  const found = patterns.map(([name, pattern]) => [name, pattern.exec(navigator.userAgent)?.[1]]);
  const [name, version] = found.find(([, number]) => number) ?? ["browser", ""];
  return `${name} ${version}`.trim();
}
