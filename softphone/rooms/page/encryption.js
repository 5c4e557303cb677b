// End-to-end encryption with the passphrase of the room; the work is done in the worker sframe.js.
//
// Event: "state" (detail: { id, state }), where "failing" means another passphrase, or none.

export const canEncrypt = "RTCRtpScriptTransform" in globalThis;

export class Encryption extends EventTarget {
  #worker = new Worker(new URL("sframe.js", import.meta.url), { type: "module" });

  /** Resolves once there is a key; a second or so, because guessing passphrases must be slow. */
  async open(passphrase, room) {
    await new Promise((resolve, reject) => {
      this.#worker.onerror = reject;
      this.#worker.onmessage = ({ data }) => {
        if (data.type === "ready") resolve();
        else this.dispatchEvent(new CustomEvent("state", { detail: data }));
      };
      this.#worker.postMessage({ type: "passphrase", passphrase, room });
    });
    return this;
  }

  /** `own` and `id`: of this participant and of the one who is heard; frames are bound to who sends them. */
  apply({ sender, receiver }, { own, id }) {
    sender.transform = new RTCRtpScriptTransform(this.#worker, { operation: "protect", id: own });
    receiver.transform = new RTCRtpScriptTransform(this.#worker, { operation: "unprotect", id });
  }

  close() {
    this.#worker.terminate();
  }
}
