/** Which tab of this browser holds the call. Another device is the server's matter: it tells the
 *  older one that it was replaced. */

const held = "viva-call";

export class Tabs {
  #name;
  #release = () => {};

  /** `key` stands for the interview, without telling its token to whoever looks at storage. */
  constructor(key) {
    this.#name = `${held}-${key}`;
  }

  /** Whether this very tab held the call before it was loaded again; with its mode. */
  get wasHere() {
    return sessionStorage.getItem(this.#name);
  }

  /** Whether no other tab of this browser holds the call now. A duplicated tab copies what this tab
   *  remembers, so memory alone would not do. */
  async free() {
    if (!navigator.locks) return true;
    return await navigator.locks.request(this.#name, { ifAvailable: true }, (lock) => lock !== null);
  }

  /** Hold the call from now on; `onTaken` when another tab takes it. */
  take(mode, onTaken) {
    this.leave();
    sessionStorage.setItem(this.#name, mode);
    if (!navigator.locks) return;
    const until = new Promise((resolve) => {
      this.#release = resolve;
    });
    navigator.locks.request(this.#name, { steal: true }, () => until).catch(onTaken);
  }

  /** Hold it no more. */
  leave() {
    sessionStorage.removeItem(this.#name);
    this.#release();
    this.#release = () => {};
  }
}

/** A short name for a secret. */
export async function nameOf(token) {
  if (!crypto.subtle) return String(token.length);
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return Array.from(new Uint8Array(hash).slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
