// What carries the media, chosen by the name in `joined`.

import { JanusEngine } from "./janus.js";
import { MeshEngine } from "./peers.js";

const ENGINES = { mesh: MeshEngine, janus: JanusEngine };

export function knowsEngine(name) {
  return Object.hasOwn(ENGINES, name);
}

export function createEngine(name, options) {
  return new ENGINES[name](options);
}
