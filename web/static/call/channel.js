/** The control channel: one WebSocket, watched by pings, since a network that is gone says nothing. */

const PING_EVERY_MS = 2000;
const SILENT_MS = 6000;
const OPEN_WITHIN_MS = 6000;

export class Channel {
  #socket;
  #timer;
  #lastHeard = 0;
  #closed = false;
  #opened;

  /** `onMessage` gets each message; `onClose` the close code, once: 0 if it fell silent. */
  constructor({ token, mode, onMessage, onClose }) {
    const address = new URL("/api/call/socket", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new WebSocket(address);
    this.#opened = new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#over(0, onClose), OPEN_WITHIN_MS);
      this.#socket.onopen = () => {
        clearTimeout(late);
        this.#socket.send(JSON.stringify({ type: "hello", token, mode }));
        this.#watch(onClose);
        resolve();
      };
      this.#socket.onclose = (event) => {
        clearTimeout(late);
        this.#over(event.code, onClose);
      };
      this.reject = reject;
    });
    this.#opened.catch(() => {});
    this.#socket.onmessage = (event) => {
      this.#lastHeard = performance.now();
      const message = JSON.parse(event.data);
      if (!this.#closed && message.type !== "pong") onMessage(message);
    };
  }

  /** Until the hello is sent; rejects if that never comes to be. */
  opened() {
    return this.#opened;
  }

  /** Whether the message is on its way. */
  send(message) {
    if (this.#closed || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Leave without telling `onClose`. */
  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.reject(new Error("closed"));
    this.#socket.onclose = null;
    this.#socket.close();
  }

  #watch(onClose) {
    this.#lastHeard = performance.now();
    this.#timer = setInterval(() => {
      if (performance.now() - this.#lastHeard > SILENT_MS) this.#over(0, onClose);
      else this.send({ type: "ping" });
    }, PING_EVERY_MS);
  }

  #over(code, onClose) {
    if (this.#closed) return;
    this.close();
    onClose(code);
  }
}
