// What outlives the page: a place in a room in this tab, preferences in this browser.

const PLACE = "softphone.place.";
const PREFERENCES = "softphone.preferences";

// Storage throws where it is forbidden or full; the page works without.
function read(area, key) {
  try {
    return JSON.parse(area().getItem(key)) ?? {};
  } catch {
    return {};
  }
}

function write(area, key, value) {
  try {
    area().setItem(key, JSON.stringify(value));
  } catch {
    return;
  }
}

const tab = () => sessionStorage;
const browser = () => localStorage;

/** { token, resume, name, muted, ... } of this tab in a room. */
export function place(room) {
  return read(tab, PLACE + room);
}

export function keepPlace(room, changes) {
  write(tab, PLACE + room, { ...place(room), ...changes });
}

export function preferences() {
  return read(browser, PREFERENCES);
}

export function prefer(changes) {
  write(browser, PREFERENCES, { ...preferences(), ...changes });
}

/** Whether this document replaces one of the same tab that was in the room a moment ago. */
export function wasReloaded(room) {
  const { resume, seen = 0, seconds = 0 } = place(room);
  const [{ type } = {}] = performance.getEntriesByType("navigation");
  // A duplicated tab has a copy of the secret, but must not push the first one out.
  return Boolean(resume) && type === "reload" && Date.now() - seen < 1000 * seconds;
}
