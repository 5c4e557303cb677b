// Every text of the page.

const known = (value, format) => (value === undefined ? undefined : format());

export const strings = {
  title: {
    join: "Join a room",
    room: (room) => `${room} · softphone`,
    muted: (room) => `Muted · ${room} · softphone`,
  },

  join: {
    title: (room) => (room ? `Join ${room}` : "Join a room"),
    room: "Room",
    roomHint: "Letters a-z, digits and hyphens.",
    badRoom: "A room's name has letters a-z, digits and hyphens, and begins with a letter or a digit.",
    name: "Your name",
    badName: "This name can't be used. Please choose another one.",
    muted: "Join with the microphone off",
    more: "Encryption",
    passphrase: "Passphrase of the room",
    passphraseHint:
      "Encrypts your voice from end to end. All in the room must type the same; leave it empty if nobody does.",
    cannotEncrypt:
      "This browser can't encrypt from end to end. Use a current Firefox, Chrome, Edge or Safari.",
    join: "Join",
    joinSilent: "Join without a microphone",
    again: "Try again",
  },

  devices: {
    microphone: "Microphone",
    speaker: "Loudspeaker",
    level: "Level of the microphone",
    unnamed: (number) => `Device ${number}`,
    none: "No microphone",
    system: "Usual one",
    lost: "The microphone was unplugged. The others can't hear you until you choose another one in the settings.",
    back: (name) => `Now using ${name || "another microphone"}.`,
  },

  microphone: {
    insecure:
      "Browsers give a page the microphone only over HTTPS. Ask for a link that begins with https://.",
    unsupported:
      "This browser has no access to microphones. Please use a current Firefox, Chrome, Edge or Safari.",
    denied:
      "The microphone is not allowed. Allow it with the button beside the address of this page, then try again.",
    none: "No microphone was found. Plug one in and try again.",
    busy: "The microphone can't be opened. Another program may be using it.",
    failed: "The microphone can't be opened.",
  },

  wait: {
    connecting: "Connecting",
    connectingText: "One moment.",
    key: "Preparing the encryption.",
    unreachable: "The room server does not answer. Trying again.",
    lobby: "Waiting to be let in",
    lobbyText: "A moderator has been told that you are here.",
    cancel: "Cancel",
  },

  ended: {
    again: "Join again",
    retry: "Try again",
    left: ["You left the room", "You can close this page."],
    removed: ["You were removed", "A moderator removed you from this room."],
    denied: ["You were not let in", "A moderator did not let you in."],
    "room-closed": ["The room was closed", "A moderator ended it for everybody."],
    timeout: ["Nobody let you in", "You waited for a long time. Perhaps the meeting has not begun."],
    replaced: ["You are here in another tab", "This room was opened again elsewhere, so this page hung up."],
    unauthorized: [
      "This link does not open the room",
      "It is incomplete or was not made by this server. Copy the whole link, with everything after the #, or ask for a new one.",
    ],
    "token-expired": ["This link has expired", "Ask whoever invited you for a new one."],
    "wrong-room": ["This link is for another room", "Open it as it was sent to you."],
    barred: ["You can't come in again", "A moderator removed you from this room."],
    "room-full": ["The room is full", "Try again when somebody has left."],
    "lobby-full": ["Too many people are waiting", "Try again in a few minutes."],
    locked: ["The room is locked", "Somebody inside can open it for you."],
    "server-full": ["The server is full", "Try again in a few minutes."],
    engine: ["The media server does not answer", "Try again in a few minutes."],
    "unknown-engine": [
      "This page does not fit the server",
      "Reload it. If that does not help, tell the operator of the server.",
    ],
    version: [
      "This page does not fit the server",
      "Reload it. If that does not help, tell the operator of the server.",
    ],
    encryption: ["The encryption could not be prepared", "Reload the page and try again."],
    unsupported: [
      "This browser is too old for calls",
      "Please use a current Firefox, Chrome, Edge or Safari.",
    ],
    other: [
      "The connection was closed",
      "Something went wrong between this page and the server. Reload the page to try again.",
    ],
  },

  room: {
    copyLink: "Copy link",
    statistics: "Statistics",
    settings: "Settings",
    copied: "The link is copied. Who has it can join.",
    copiedPersonal:
      "Your own invitation is for you alone, so the link was copied without it. Others need an invitation of their own.",
    blocked: "The browser plays no sound until you allow it.",
    unblock: "Play sound",
    reconnecting: "Reconnecting to the room. You can go on talking.",
    back: "Connected to the room again.",
    people: (count, capacity) => `In the room: ${count} of ${capacity}`,
    facts: {
      locked: "locked",
      lobby: "newcomers wait",
      encrypted: "end-to-end encrypted",
      recording: "is being recorded",
    },
  },

  person: {
    you: "you",
    moderator: "moderator",
    recording: "records",
    verified: "Name confirmed by an invitation",
    muted: "Microphone is off",
    hand: (turn) => `Hand is raised, number ${turn}`,
    more: (name) => `Options for ${name}`,
    moreShort: "Options",
    volume: "Volume",
    mute: "Turn microphone off",
    remove: "Remove",
    volumeOf: (name) => `Volume of ${name}`,
    muteOf: (name) => `Turn off the microphone of ${name}`,
    removeOf: (name) => `Remove ${name}`,
    quality: { good: "Good sound", fair: "Sound is fair", poor: "Sound is poor", "": "Connected" },
    own: { on: "You can be heard", muted: "Your microphone is off", silent: "You have no microphone" },
    connecting: "Connecting",
    restarting: "Reconnecting",
    away: "Lost the room, may come back",
    passphrase: "Has another passphrase",
  },

  lobby: {
    title: "Waiting to come in",
    admit: "Let in",
    deny: "Turn away",
    admitOf: (name) => `Let ${name} in`,
    denyOf: (name) => `Turn ${name} away`,
  },

  moderation: {
    title: "Moderation",
    lock: "Lock the room",
    lobby: "Newcomers wait to be let in",
    end: "End for everybody",
  },

  question: {
    no: "Cancel",
    remove: (name) => `Remove ${name} from the room?`,
    removeYes: "Remove",
    end: "End the room for everybody?",
    endYes: "End for everybody",
  },

  chat: {
    title: "Chat",
    label: "Message to all",
    send: "Send",
    empty: "Nobody has written yet.",
    you: "You",
    unread: (count) => `${count} unread`,
    offline: "Not sent: the room is being reconnected.",
  },

  controls: {
    title: "Your controls",
    mute: "Mute",
    unmute: "Unmute",
    raise: "Raise hand",
    lower: "Lower hand",
    chat: "Chat",
    leave: "Leave",
  },

  settings: {
    title: "Settings",
    processing: "Remove echo and noise, level out loudness",
    tones: "Tones when somebody comes or leaves",
    rename: "Change",
    close: "Close",
  },

  link: { title: "Link to this room", hint: "Copy it from here:" },

  statistics: {
    title: "Statistics",
    hint: "Of the last five seconds.",
    groups: { heard: "What you hear", said: "What they hear of you", way: "The way between" },
    rows: {
      quality: "Quality",
      concealed: "Concealed",
      loss: "Packets lost",
      buffer: "Delay of the buffer",
      received: "Rate",
      reported: "Packets lost",
      sent: "Rate",
      roundTrip: "Round trip",
      way: "Path",
    },
    nobody: "Nobody else is here",
    none: "–",
    qualities: { good: "good", fair: "fair", poor: "poor" },
    percent: (share) => known(share, () => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`),
    milliseconds: (seconds) => known(seconds, () => `${Math.round(1000 * seconds)} ms`),
    rate: (bits) => known(bits, () => `${Math.round(bits / 1000)} kb/s`),
    ways: (relayed, protocol) =>
      known(protocol, () => `${relayed ? "relayed" : "direct"}, ${protocol.toUpperCase()}`),
  },

  happened: {
    joined: () => "You are in the room.",
    resumed: () => "Connected to the room again.",
    came: ({ name }) => `${name} came in.`,
    left: ({ name, reason }) =>
      ({ removed: `${name} was removed.`, gone: `${name} was lost.` })[reason] ?? `${name} left.`,
    hand: ({ name }) => `${name} raised a hand.`,
    recording: ({ name }) => `${name} records the room.`,
    away: ({ name }) => `${name} lost the room and may come back.`,
    said: ({ name, text }) => `${name}: ${text}`,
    asks: ({ name }) => `${name} waits to be let in.`,
    locked: () => "The room is locked.",
    unlocked: () => "The room is open again.",
    "lobby-on": () => "Newcomers wait to be let in.",
    "lobby-off": () => "Newcomers come in without waiting.",
    "muted-by": ({ name }) => `${name || "A moderator"} turned your microphone off.`,
    refused: ({ code, message }) =>
      sentence(message) ||
      (code === "rate-limit" ? "That was too fast. Please wait a moment." : "This is not allowed."),
    failing: ({ name }) => `${name} has another passphrase, or none. You can't hear each other.`,
    handUp: () => "Your hand is raised.",
    handDown: () => "Your hand is down.",
    muted: () => "Your microphone is off.",
    unmuted: () => "Your microphone is on.",
  },
};

/** What the server says, as a sentence of its own. */
export function sentence(text) {
  if (text === "") return "";
  return text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** The text at a path such as "join.name". */
export function textAt(path) {
  return path.split(".").reduce((node, key) => node[key], strings);
}
