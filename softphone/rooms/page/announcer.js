// Tells assistive technology what happened, without stealing the focus.

import { byId } from "./dom.js";

const GATHER_MS = 150;
const FORGET_MS = 10_000;

let pending = [];
let timer = null;
let forgetting = null;

/** What comes within a moment is said together, so that nothing is cut off by the next. */
export function announce(text) {
  pending.push(text);
  timer ??= setTimeout(() => {
    byId("announcer").textContent = pending.join(" ");
    pending = [];
    timer = null;
    clearTimeout(forgetting);
    forgetting = setTimeout(() => byId("announcer").replaceChildren(), FORGET_MS);
  }, GATHER_MS);
}
