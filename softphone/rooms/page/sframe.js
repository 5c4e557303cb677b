// SFrame (RFC 9605) for the audio of a room: the twin of softphone/e2ee.
//
// As a module worker it serves RTCRtpScriptTransform:
//
//   const worker = new Worker("sframe.js", { type: "module" });
//   worker.postMessage({ type: "passphrase", passphrase, room });   // answered by { type: "ready" }
//   sender.transform = new RTCRtpScriptTransform(worker, { operation: "protect" });
//   receiver.transform = new RTCRtpScriptTransform(worker, { operation: "unprotect", id });
//
// For every receiver, { type: "state", id, state } says "decrypting" or "failing" when that
// changes. Without a key nothing leaves and nothing is played. RED must not be negotiated.

import { scrypt } from "./scrypt.js";

export const DEFAULT_SUITE = "AES_128_GCM_SHA256_128";

/** Cipher suites of RFC 9605, section 4.5; lengths in bytes. */
export const CIPHER_SUITES = {
  AES_128_CTR_HMAC_SHA256_80: { number: 1, hash: "SHA-256", keyLength: 48, tagLength: 10 },
  AES_128_CTR_HMAC_SHA256_64: { number: 2, hash: "SHA-256", keyLength: 48, tagLength: 8 },
  AES_128_CTR_HMAC_SHA256_32: { number: 3, hash: "SHA-256", keyLength: 48, tagLength: 4 },
  AES_128_GCM_SHA256_128: { number: 4, hash: "SHA-256", keyLength: 16, tagLength: 16, gcm: true },
  AES_256_GCM_SHA512_128: { number: 5, hash: "SHA-512", keyLength: 32, tagLength: 16, gcm: true },
};

const MAX_VALUE = 2n ** 64n - 1n;
const NONCE_LENGTH = 12;
const AES_128_LENGTH = 16;
const MAX_KIDS = 256;
const FAILING_AFTER = 5;
const WINDOW = 1024n;

/** A frame that must not be played; `reason` is malformed, replayed, refused or surplus. */
export class SframeError extends Error {
  constructor(reason, message) {
    super(message);
    this.name = "SframeError";
    this.reason = reason;
  }
}

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function toBytes(value, length) {
  const bytes = new Uint8Array(length);
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(value & 0xffn);
    value >>= 8n;
  }
  return bytes;
}

function fromBytes(bytes) {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

// The header: key identifier and counter (RFC 9605, section 4.3), both BigInt.

function packValue(value) {
  if (value < 8n) return [Number(value), new Uint8Array()];
  const length = Math.ceil(value.toString(16).length / 2);
  return [8 | (length - 1), toBytes(value, length)];
}

export function packHeader(kid, ctr) {
  const [kidNibble, kidBytes] = packValue(kid);
  const [ctrNibble, ctrBytes] = packValue(ctr);
  return concat(Uint8Array.of((kidNibble << 4) | ctrNibble), kidBytes, ctrBytes);
}

function parseValue(frame, nibble, offset) {
  if (!(nibble & 8)) return [BigInt(nibble), offset];
  const end = offset + (nibble & 7) + 1;
  if (end > frame.length) throw new SframeError("malformed", "the frame ends within its header");
  const value = fromBytes(frame.subarray(offset, end));
  if (frame[offset] === 0 || value < 8n) {
    throw new SframeError("malformed", "a value of the header is not in its shortest form");
  }
  return [value, end];
}

export function parseHeader(frame) {
  if (frame.length === 0) throw new SframeError("malformed", "an empty frame has no header");
  const [kid, middle] = parseValue(frame, frame[0] >> 4, 1);
  const [ctr, length] = parseValue(frame, frame[0] & 15, middle);
  return { kid, ctr, length };
}

// Keys.

/** Wrap a base key of at least 16 bytes. */
export async function roomKey(baseKey, suite = DEFAULT_SUITE) {
  const secret = await crypto.subtle.importKey("raw", baseKey, "HKDF", false, ["deriveBits"]);
  return { secret, suite: CIPHER_SUITES[suite] };
}

/** The 32 bytes that `derive_room_key` of softphone.e2ee makes of a passphrase; slow on purpose. */
export function deriveBaseKey(passphrase, room) {
  const encoder = new TextEncoder();
  const secret = encoder.encode(passphrase.normalize("NFC"));
  const salt = encoder.encode(`softphone sframe 1\0${room.normalize("NFC")}`);
  return scrypt(secret, salt, 2 ** 15, 8, 3, 32);
}

/** Key and salt for one key identifier (RFC 9605, section 4.4.2). */
class FrameKey {
  static async derive({ secret, suite }, kid) {
    const expand = async (label, length) => {
      const tail = concat(toBytes(kid, 8), toBytes(BigInt(suite.number), 2));
      const info = concat(new TextEncoder().encode(label), tail);
      const parameters = { name: "HKDF", hash: suite.hash, salt: new Uint8Array(), info };
      return new Uint8Array(await crypto.subtle.deriveBits(parameters, secret, length * 8));
    };
    const key = new FrameKey();
    key.suite = suite;
    key.salt = fromBytes(await expand("SFrame 1.0 Secret salt ", NONCE_LENGTH));
    const bytes = await expand("SFrame 1.0 Secret key ", suite.keyLength);
    const load = (raw, algorithm, ...uses) => crypto.subtle.importKey("raw", raw, algorithm, false, uses);
    if (suite.gcm) {
      key.aes = await load(bytes, "AES-GCM", "encrypt", "decrypt");
    } else {
      key.aes = await load(bytes.subarray(0, AES_128_LENGTH), "AES-CTR", "encrypt", "decrypt");
      const hmac = { name: "HMAC", hash: suite.hash };
      key.hmac = await load(bytes.subarray(AES_128_LENGTH), hmac, "sign");
    }
    return key;
  }

  async encrypt(ctr, plaintext, aad) {
    const nonce = this.nonce(ctr);
    if (this.suite.gcm) {
      return new Uint8Array(await crypto.subtle.encrypt(this.gcm(nonce, aad), this.aes, plaintext));
    }
    const ciphertext = new Uint8Array(await crypto.subtle.encrypt(this.stream(nonce), this.aes, plaintext));
    return concat(ciphertext, await this.tag(nonce, aad, ciphertext));
  }

  /** The plaintext, or null when the tag does not fit. */
  async decrypt(ctr, data, aad) {
    const nonce = this.nonce(ctr);
    if (this.suite.gcm) {
      const opened = crypto.subtle.decrypt(this.gcm(nonce, aad), this.aes, data);
      return opened.then((plaintext) => new Uint8Array(plaintext), () => null);
    }
    const split = data.length - this.suite.tagLength;
    const ciphertext = data.subarray(0, split);
    const tag = await this.tag(nonce, aad, ciphertext);
    const difference = tag.reduce((bits, byte, i) => bits | (byte ^ data[split + i]), 0);
    if (difference !== 0) return null;
    return new Uint8Array(await crypto.subtle.decrypt(this.stream(nonce), this.aes, ciphertext));
  }

  nonce(ctr) {
    return toBytes(this.salt ^ ctr, NONCE_LENGTH);
  }

  gcm(iv, additionalData) {
    return { name: "AES-GCM", iv, additionalData, tagLength: 128 };
  }

  stream(nonce) {
    return { name: "AES-CTR", counter: concat(nonce, new Uint8Array(4)), length: 32 };
  }

  async tag(nonce, aad, ciphertext) {
    const lengths = [aad.length, ciphertext.length, this.suite.tagLength];
    const message = concat(...lengths.map((n) => toBytes(BigInt(n), 8)), nonce, aad, ciphertext);
    const whole = await crypto.subtle.sign("HMAC", this.hmac, message);
    return new Uint8Array(whole, 0, this.suite.tagLength);
  }
}

// Frames.

/** Encrypts the frames of one stream. Without `kid` a fresh one of 48 bits is drawn. */
export class SframeSender {
  constructor(room, { metadata = new Uint8Array(), kid = null, firstCtr = 0n } = {}) {
    this.kid = kid ?? fromBytes(crypto.getRandomValues(new Uint8Array(6)));
    this.next = firstCtr;
    this.metadata = metadata;
    this.key = FrameKey.derive(room, this.kid);
  }

  async protect(payload) {
    if (this.next > MAX_VALUE) throw new RangeError("this sender has used up its counter");
    const ctr = this.next++;
    const header = packHeader(this.kid, ctr);
    return concat(header, await (await this.key).encrypt(ctr, payload, concat(header, this.metadata)));
  }
}

/** Remembers the newest counter and the 1024 before it. */
class ReplayWindow {
  newest = -1n;
  seen = new Set();

  accepts(ctr) {
    return ctr > this.newest || (this.newest - ctr < WINDOW && !this.seen.has(ctr));
  }

  add(ctr) {
    this.seen.add(ctr);
    if (ctr > this.newest) this.newest = ctr;
    if (this.seen.size > 2 * Number(WINDOW)) {
      this.seen = new Set([...this.seen].filter((old) => this.newest - old < WINDOW));
    }
  }
}

/** Decrypts the frames of one stream; `state` is waiting, decrypting or failing. */
export class SframeReceiver {
  constructor(room, { metadata = new Uint8Array() } = {}) {
    this.room = room;
    this.metadata = metadata;
    this.senders = new Map();
    this.counters = { accepted: 0, malformed: 0, replayed: 0, refused: 0, surplus: 0 };
    this.refusedInRow = 0;
  }

  get state() {
    if (this.refusedInRow >= FAILING_AFTER) return "failing";
    return this.counters.accepted ? "decrypting" : "waiting";
  }

  /** Frames must be passed one after the other. Throws a SframeError for one not to be played. */
  async unprotect(frame) {
    try {
      const payload = await this.open(frame);
      this.counters.accepted++;
      this.refusedInRow = 0;
      return payload;
    } catch (error) {
      if (!(error instanceof SframeError)) throw error;
      this.counters[error.reason]++;
      if (error.reason === "malformed" || error.reason === "refused") this.refusedInRow++;
      throw error;
    }
  }

  async open(frame) {
    const { kid, ctr, length } = parseHeader(frame);
    if (frame.length < length + this.room.suite.tagLength) {
      throw new SframeError("malformed", "the frame is too short for its tag");
    }
    const known = this.senders.get(kid);
    if (known && !known.window.accepts(ctr)) {
      throw new SframeError("replayed", "the frame was received before");
    }
    const sender = known ?? { key: await FrameKey.derive(this.room, kid), window: new ReplayWindow() };
    const aad = concat(frame.subarray(0, length), this.metadata);
    const payload = await sender.key.decrypt(ctr, frame.subarray(length), aad);
    if (payload === null) throw new SframeError("refused", "the frame is not authentic");
    if (!known) {
      if (this.senders.size >= MAX_KIDS) throw new SframeError("surplus", "too many key identifiers");
      this.senders.set(kid, sender);
    }
    sender.window.add(ctr);
    return payload;
  }
}

// The worker.

if (typeof DedicatedWorkerGlobalScope !== "undefined" && self instanceof DedicatedWorkerGlobalScope) {
  let room = null;

  const transforms = {
    protect({ id }) {
      const metadata = new TextEncoder().encode(id);
      let sender = null;
      let key = null;
      return async (payload) => {
        if (key !== room) [key, sender] = [room, new SframeSender(room, { metadata })];
        return sender.protect(payload);
      };
    },
    unprotect({ id }) {
      const metadata = new TextEncoder().encode(id);
      let receiver = null;
      let key = null;
      let state = "waiting";
      return async (frame) => {
        if (key !== room) [key, receiver] = [room, new SframeReceiver(room, { metadata })];
        try {
          return await receiver.unprotect(frame);
        } finally {
          if (receiver.state !== state) {
            state = receiver.state;
            self.postMessage({ type: "state", id, state });
          }
        }
      };
    },
  };

  self.onmessage = async ({ data }) => {
    if (data.type !== "passphrase") return;
    const baseKey = await deriveBaseKey(data.passphrase, data.room);
    room = await roomKey(baseKey);
    self.postMessage({ type: "ready" });
  };

  self.onrtctransform = ({ transformer }) => {
    const convert = transforms[transformer.options.operation](transformer.options);
    const stage = new TransformStream({
      async transform(frame, controller) {
        // Dropped until there is a key: neither speech in the clear nor noise.
        if (room === null) return;
        try {
          const converted = await convert(new Uint8Array(frame.data));
          frame.data = converted.buffer;
        } catch (error) {
          if (!(error instanceof SframeError)) console.error(error);
          return;
        }
        controller.enqueue(frame);
      },
    });
    transformer.readable.pipeThrough(stage).pipeTo(transformer.writable);
  };
}
