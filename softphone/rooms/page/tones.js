// Two short tones when somebody comes (rising) or leaves (falling).

const PITCHES = { came: [523.25, 783.99], left: [783.99, 523.25] };
const LENGTH = 0.12;
const LOUDNESS = 0.08;

let context = null;

export function playTones(what) {
  context ??= new AudioContext();
  let start = context.currentTime;
  for (const frequency of PITCHES[what]) {
    const oscillator = new OscillatorNode(context, { frequency });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setTargetAtTime(LOUDNESS, start, 0.01);
    gain.gain.setTargetAtTime(0, start + LENGTH - 0.04, 0.015);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + 2 * LENGTH);
    start += LENGTH;
  }
}
