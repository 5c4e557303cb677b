// Reads the reports of getStats() about one connection; rates are over the last few seconds.

const WINDOW_MS = 5_000;

export class StatisticsWindow {
  #history = [];

  /** Numbers of the connection; undefined where the browser does not tell. Times in seconds, rates in bit/s. */
  update(reports, now) {
    const totals = readTotals(reports);
    this.#history.push({ now, totals });
    while (this.#history.length > 2 && now - this.#history[0].now > WINDOW_MS) this.#history.shift();
    const [{ now: since, totals: before }] = this.#history;
    if (totals.packetsReceived < before.packetsReceived) this.#history = [{ now, totals }]; // a new session
    const change = (name) => totals[name] - before[name];
    const ratio = (part, whole) =>
      change(whole) > 0 ? Math.min(1, Math.max(0, change(part) / change(whole))) : undefined;
    const rate = (name) => (now > since ? Math.max(0, (8000 * change(name)) / (now - since)) : undefined);
    const expected = change("packetsReceived") + change("packetsLost");
    return {
      ...totals,
      receiveRate: rate("bytesReceived"),
      sendRate: rate("bytesSent"),
      loss: expected > 0 ? Math.max(0, change("packetsLost") / expected) : undefined,
      concealed: ratio("concealedSamples", "totalSamplesReceived"),
      bufferDelay:
        change("jitterBufferEmittedCount") > 0
          ? change("jitterBufferDelay") / change("jitterBufferEmittedCount")
          : undefined,
    };
  }
}

const COUNTERS = {
  "inbound-rtp": [
    "packetsReceived",
    "packetsLost",
    "bytesReceived",
    "fecPacketsReceived",
    "concealedSamples",
    "totalSamplesReceived",
    "jitterBufferDelay",
    "jitterBufferEmittedCount",
  ],
  "outbound-rtp": ["packetsSent", "bytesSent"],
};

function readTotals(reports) {
  const totals = {};
  const all = [...reports.values()];
  for (const [type, names] of Object.entries(COUNTERS)) {
    const report = all.find((each) => each.type === type) ?? {};
    for (const name of names) totals[name] = report[name] ?? 0;
  }
  const inbound = all.find(({ type }) => type === "inbound-rtp");
  const outbound = all.find(({ type }) => type === "outbound-rtp");
  const remote = all.find(({ type }) => type === "remote-inbound-rtp");
  const pair = selectedPair(reports, all);
  const local = reports.get(pair?.localCandidateId);
  const codecName = (report) => reports.get(report?.codecId)?.mimeType?.split("/")[1];
  return {
    ...totals,
    jitter: inbound?.jitter,
    receiveCodec: codecName(inbound),
    sendCodec: codecName(outbound),
    reportedLoss: remote?.fractionLost,
    roundTrip: pair?.currentRoundTripTime ?? remote?.roundTripTime,
    relayed: local && local.candidateType === "relay",
    protocol: local?.relayProtocol ?? local?.protocol,
  };
}

function selectedPair(reports, all) {
  const transport = all.find(({ type }) => type === "transport");
  return (
    reports.get(transport?.selectedCandidatePairId) ??
    all.find(
      ({ type, selected, nominated, state }) =>
        type === "candidate-pair" && (selected || (nominated && state === "succeeded")),
    )
  );
}

/** "good", "fair", "poor", or "" before there is anything to judge by. */
export function quality({ concealed, bufferDelay = 0, roundTrip = 0 }) {
  if (concealed === undefined) return "";
  const delay = bufferDelay + roundTrip / 2;
  if (concealed > 0.05 || delay > 0.4) return "poor";
  if (concealed > 0.01 || delay > 0.25) return "fair";
  return "good";
}
