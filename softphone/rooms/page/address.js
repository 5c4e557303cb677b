// The room and the secrets in the address of the page.

const ROOM_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

export function isRoomName(text) {
  return ROOM_NAME.test(text);
}

/** The room in the path, or "" where there is none. */
export function roomOf({ pathname }) {
  const [, room = ""] = /^\/r\/([^/]+)\/?$/.exec(pathname) ?? [];
  return isRoomName(room) ? room : "";
}

/** `#TOKEN&KEY=VALUE...` as { token, passphrase }; null when the address has no secrets. */
export function secretsOf({ hash }) {
  if (hash.length < 2) return null;
  const [token, ...pairs] = hash.slice(1).split("&");
  const options = new URLSearchParams(pairs.join("&"));
  return { token: decode(token), passphrase: options.get("passphrase") ?? "" };
}

/** Keep secrets out of the history, of screenshots and of what is copied from the address bar. */
export function hideSecrets() {
  history.replaceState(history.state, "", location.pathname);
}

export function goTo(room) {
  history.replaceState(history.state, "", `/r/${room}`);
}

export function socketUrl() {
  const url = new URL("/ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * The link to pass on: { url, personal }. An invitation with a name or with the rights of a
 * moderator is for its holder alone, so it is left out and `personal` is true.
 */
export function inviteLink(room, token) {
  const url = new URL(`/r/${room}`, location.href).href;
  const personal = isPersonal(token);
  return { url: token && !personal ? `${url}#${encodeURIComponent(token)}` : url, personal };
}

function isPersonal(token) {
  const claims = token.split(".");
  if (claims.length !== 3) return false;
  try {
    const bytes = Uint8Array.from(atob(claims[1].replaceAll("-", "+").replaceAll("_", "/")), (c) =>
      c.charCodeAt(0),
    );
    const { name = "", role = "participant" } = JSON.parse(new TextDecoder().decode(bytes));
    return name !== "" || role !== "participant";
  } catch {
    return false;
  }
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
