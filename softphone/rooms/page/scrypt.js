// scrypt (RFC 7914), which WebCrypto lacks. It keeps a core busy for a second: run it in a worker.

/** Block mixing of scrypt (RFC 7914, section 4) on r 128-byte blocks of little-endian words. */
function blockMix(block, r, mixed, x) {
  const last = 16 * (2 * r - 1);
  for (let i = 0; i < 16; i++) x[i] = block[last + i];
  for (let k = 0; k < 2 * r; k++) {
    for (let i = 0; i < 16; i++) x[i] ^= block[16 * k + i];
    salsa(x);
    // Even blocks first, odd ones after them.
    mixed.set(x, 16 * ((k >> 1) + (k & 1 ? r : 0)));
  }
  block.set(mixed);
}

/** Salsa20/8 (RFC 7914, section 3) on 16 words, in place. */
function salsa(x) {
  let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = x;
  let t;
  for (let round = 0; round < 4; round++) {
    t = (a + m) | 0; e ^= (t << 7) | (t >>> 25);
    t = (e + a) | 0; i ^= (t << 9) | (t >>> 23);
    t = (i + e) | 0; m ^= (t << 13) | (t >>> 19);
    t = (m + i) | 0; a ^= (t << 18) | (t >>> 14);
    t = (f + b) | 0; j ^= (t << 7) | (t >>> 25);
    t = (j + f) | 0; n ^= (t << 9) | (t >>> 23);
    t = (n + j) | 0; b ^= (t << 13) | (t >>> 19);
    t = (b + n) | 0; f ^= (t << 18) | (t >>> 14);
    t = (k + g) | 0; o ^= (t << 7) | (t >>> 25);
    t = (o + k) | 0; c ^= (t << 9) | (t >>> 23);
    t = (c + o) | 0; g ^= (t << 13) | (t >>> 19);
    t = (g + c) | 0; k ^= (t << 18) | (t >>> 14);
    t = (p + l) | 0; d ^= (t << 7) | (t >>> 25);
    t = (d + p) | 0; h ^= (t << 9) | (t >>> 23);
    t = (h + d) | 0; l ^= (t << 13) | (t >>> 19);
    t = (l + h) | 0; p ^= (t << 18) | (t >>> 14);
    t = (a + d) | 0; b ^= (t << 7) | (t >>> 25);
    t = (b + a) | 0; c ^= (t << 9) | (t >>> 23);
    t = (c + b) | 0; d ^= (t << 13) | (t >>> 19);
    t = (d + c) | 0; a ^= (t << 18) | (t >>> 14);
    t = (f + e) | 0; g ^= (t << 7) | (t >>> 25);
    t = (g + f) | 0; h ^= (t << 9) | (t >>> 23);
    t = (h + g) | 0; e ^= (t << 13) | (t >>> 19);
    t = (e + h) | 0; f ^= (t << 18) | (t >>> 14);
    t = (k + j) | 0; l ^= (t << 7) | (t >>> 25);
    t = (l + k) | 0; i ^= (t << 9) | (t >>> 23);
    t = (i + l) | 0; j ^= (t << 13) | (t >>> 19);
    t = (j + i) | 0; k ^= (t << 18) | (t >>> 14);
    t = (p + o) | 0; m ^= (t << 7) | (t >>> 25);
    t = (m + p) | 0; n ^= (t << 9) | (t >>> 23);
    t = (n + m) | 0; o ^= (t << 13) | (t >>> 19);
    t = (o + n) | 0; p ^= (t << 18) | (t >>> 14);
  }
  x[0] += a; x[1] += b; x[2] += c; x[3] += d; x[4] += e; x[5] += f; x[6] += g; x[7] += h;
  x[8] += i; x[9] += j; x[10] += k; x[11] += l; x[12] += m; x[13] += n; x[14] += o; x[15] += p;
}

async function pbkdf2(secret, salt, length) {
  const key = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
  const bits = await crypto.subtle.deriveBits(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations: 1 }, key, length * 8);
  return new Uint8Array(bits);
}

/** Derive `length` bytes. `n`, a power of two, times `r` times 128 bytes of memory; `p` passes. */
export async function scrypt(secret, salt, n, r, p, length) {
  const words = 32 * r;
  const derived = await pbkdf2(secret, salt, 4 * words * p);
  // Words are little-endian, as on every machine that runs a browser.
  const blocks = new Int32Array(derived.buffer);
  const memory = new Int32Array(words * n);
  const mixed = new Int32Array(words);
  const x = new Int32Array(16);
  for (let lane = 0; lane < p; lane++) {
    const block = blocks.subarray(lane * words, (lane + 1) * words);
    for (let i = 0; i < n; i++) {
      memory.set(block, i * words);
      blockMix(block, r, mixed, x);
    }
    for (let i = 0; i < n; i++) {
      const from = (block[words - 16] & (n - 1)) * words;
      for (let w = 0; w < words; w++) block[w] ^= memory[from + w];
      blockMix(block, r, mixed, x);
    }
  }
  return pbkdf2(secret, derived, length);
}
