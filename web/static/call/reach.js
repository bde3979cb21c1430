/** Whether the server can be reached again. It is asked over and over, side by side: a question that was
 *  sent into a dead network is repeated by TCP at growing intervals, and hangs on for seconds after the
 *  network is back. Sockets are not tried until then, since browsers slow down those who fail often. */

const EVERY_MS = 700;
const SLOWEST_MS = 3000;
const SLOWER = 1.15;
/** So many questions are open at once; a slow network is given longer for each as time goes on. */
const OPEN = 4;
const LATE_MS = 5000;

export class Reach {
  #onReached;
  #every = EVERY_MS;
  #timer = null;
  #late;
  #asking = new Set();

  /** `onReached` once, when there was an answer; `onLate` if there is none for long; neither after
   *  `stop`. */
  constructor({ onReached, onLate }) {
    this.#onReached = onReached;
    this.#late = setTimeout(onLate, LATE_MS);
    this.#ask();
  }

  /** There is reason to hope: ask at once, and often again. */
  now() {
    clearTimeout(this.#timer);
    this.#every = EVERY_MS;
    this.#ask();
  }

  stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#late);
    for (const one of this.#asking) one.abort();
  }

  async #ask() {
    const every = this.#every;
    this.#timer = setTimeout(() => this.#ask(), every);
    this.#every = Math.min(every * SLOWER, SLOWEST_MS);
    const one = new AbortController();
    const late = setTimeout(() => one.abort(), every * OPEN);
    this.#asking.add(one);
    try {
      const answer = await fetch(import.meta.url, { method: "HEAD", cache: "no-store", signal: one.signal });
      // Whoever stands before a server that is down says so with these; a page that is not there any
      // more, after an upgrade, is an answer of the server's own.
      if (answer.status < 500 && !one.signal.aborted) this.#reached();
    } catch {
      // The next one is on its way.
    } finally {
      clearTimeout(late);
      this.#asking.delete(one);
    }
  }

  #reached() {
    this.stop();
    this.#onReached();
  }
}
