// Helpers of the browser tests; byte strings travel as hexadecimal.

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const sframe = import("/page/sframe.js");

async function makeKey({ base, suite }) {
  return (await sframe).roomKey(unhex(base), suite);
}

async function protect({ kid, ctr, metadata, payloads, ...key }) {
  const options = { metadata: unhex(metadata) };
  if (kid) Object.assign(options, { kid: BigInt(kid), firstCtr: BigInt(ctr) });
  const sender = new (await sframe).SframeSender(await makeKey(key), options);
  const frames = [];
  for (const payload of payloads) frames.push(hex(await sender.protect(unhex(payload))));
  return frames;
}

async function unprotect({ metadata, frames, ...key }) {
  const receiver = new (await sframe).SframeReceiver(await makeKey(key), { metadata: unhex(metadata) });
  const results = [];
  for (const frame of frames) {
    results.push(await receiver.unprotect(unhex(frame)).then(hex, (error) => `${error.name}: ${error.reason}`));
  }
  return { results, state: receiver.state, counters: receiver.counters };
}

async function headers(table) {
  const { packHeader, parseHeader } = await sframe;
  return table.map(([kid, ctr]) => {
    const packed = packHeader(BigInt(kid), BigInt(ctr));
    const parsed = parseHeader(packed);
    return [`${parsed.kid}`, `${parsed.ctr}`, hex(packed), parsed.length];
  });
}

async function baseKey({ passphrase, room }) {
  return hex(await (await sframe).deriveBaseKey(passphrase, room));
}

// A call with encryption in a worker, as the page makes it.

let call = null;

async function offer({ passphrase, room }) {
  const worker = new Worker("/page/sframe.js", { type: "module" });
  const states = [];
  const ready = new Promise((resolve) => {
    worker.onmessage = ({ data }) => (data.type === "ready" ? resolve() : states.push(data));
  });
  worker.postMessage({ type: "passphrase", passphrase, room });
  await ready;
  const connection = new RTCPeerConnection();
  const [track] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks();
  const transceiver = connection.addTransceiver(track, { direction: "sendrecv" });
  const { codecs } = RTCRtpSender.getCapabilities("audio");
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType === "audio/opus"));
  transceiver.sender.transform = new RTCRtpScriptTransform(worker, { operation: "protect", id: "page" });
  transceiver.receiver.transform = new RTCRtpScriptTransform(worker, { operation: "unprotect", id: "peer" });
  const audio = new Audio();
  audio.srcObject = new MediaStream([transceiver.receiver.track]);
  audio.play();
  call = { connection, states, audio };
  await connection.setLocalDescription();
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return connection.localDescription.sdp;
}

async function answered(sdp) {
  await call.connection.setRemoteDescription({ type: "answer", sdp });
}

async function heard() {
  const reports = [...(await call.connection.getStats()).values()];
  const inbound = reports.find(({ type }) => type === "inbound-rtp") ?? {};
  return { states: call.states, energy: inbound.totalAudioEnergy ?? 0, packets: inbound.packetsReceived ?? 0 };
}
