// Which of the views is shown, and where the focus goes.

import { byId, setText, show } from "./dom.js";
import { strings } from "./strings.js";

const VIEWS = ["join", "wait", "room", "end"];

let current = "";

export function showView(name, title) {
  setTitle(title);
  if (name === current) return;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const view of VIEWS) show(byId(`${view}-view`), view === name);
  // The first view keeps the focus where the browser has it.
  if (current !== "") byId(`${name}-title`).focus();
  current = name;
  scrollTo(0, 0);
}

export function setTitle(title) {
  if (document.title !== title) document.title = title;
}

/** While a connection is made, or in the lobby; `onCancel` belongs to the button. */
export function showWait(title, text, onCancel) {
  setText(byId("wait-title"), title);
  setText(byId("wait-text"), text);
  byId("wait-cancel").onclick = onCancel;
  showView("wait", title);
}

/** `message` is what the server says; `again` the label of the button and `onAgain` what it does, if any. */
export function showEnd({ code, message = "" }, { again = "", onAgain = null } = {}) {
  const [title, text] = strings.ended[code] ?? strings.ended.other;
  setText(byId("end-title"), title);
  setText(byId("end-text"), text);
  setText(byId("end-message"), message);
  show(byId("end-message"), message !== "");
  setText(byId("end-again"), again);
  show(byId("end-again"), again !== "");
  byId("end-again").onclick = onAgain;
  showView("end", title);
}
