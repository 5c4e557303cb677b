// Peer connections for voice.

const VOICE = ["audio/red", "audio/opus", "audio/telephone-event"];

/** Bit/s of speech, without the copies of RED. More is hardly heard, and everybody else in a mesh gets it. */
const MOST_BITRATE = 48_000;

/** Configuration for a new connection, or for one whose ICE restarts. */
export function rtcConfiguration({ iceServers, relayOnly }) {
  return {
    iceServers: iceServers.map(({ urls, username = "", credential = "" }) =>
      username ? { urls, username, credential } : { urls },
    ),
    iceTransportPolicy: relayOnly ? "relay" : "all",
    bundlePolicy: "max-bundle",
    rtcpMuxPolicy: "require",
  };
}

/**
 * Prefer RED, so that every packet carries the one before it again: against loss it does more
 * than in-band FEC, which browsers negotiate by themselves. Without `red`, Opus alone.
 */
export function preferVoice(transceiver, { red }) {
  if (!transceiver.setCodecPreferences) return;
  const { codecs } = RTCRtpReceiver.getCapabilities("audio");
  const wanted = red ? VOICE : VOICE.slice(1);
  transceiver.setCodecPreferences(
    wanted.flatMap((type) => codecs.filter(({ mimeType }) => mimeType.toLowerCase() === type)),
  );
}

/** Send no more than is heard, though the other end would take it. */
export function limitRate(sender) {
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings) encoding.maxBitrate = MOST_BITRATE;
  // A browser that doesn't know this for audio goes on as it did.
  sender.setParameters(parameters).catch(() => {});
}

/** Whether this browser can use RED. */
export function canRed() {
  const { codecs = [] } = RTCRtpReceiver.getCapabilities?.("audio") ?? {};
  return codecs.some(({ mimeType }) => mimeType.toLowerCase() === "audio/red");
}

/** Packets of a connection so far; with RTCP, where the browser reports it. */
export function packetsReceived(reports) {
  let [transport, inbound] = [null, 0];
  for (const report of reports.values()) {
    if (report.type === "transport") transport = report.packetsReceived ?? transport;
    if (report.type === "inbound-rtp") inbound += report.packetsReceived ?? 0;
  }
  return transport ?? inbound;
}
