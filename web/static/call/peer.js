/** One WebRTC connection to the interviewer. It is never mended: when it fails, a new one is made. */

const GATHER_MS = 1500;
/** A relay takes some round trips more to give its address. */
const GATHER_RELAY_MS = 4000;
const WATCH_MS = 400;
/** The interviewer's sound never pauses, so that its absence tells of a dead line. */
const QUIET_MS = 2200;

export class Peer {
  #connection;
  #sender;
  #timer;
  #gatherMs;
  #onDown;
  #down = false;

  /** `onDown` once, when the line is dead; `onSound` with the stream to be played. */
  constructor({ iceServers, track, onSound, onDown }) {
    this.#onDown = onDown;
    this.#gatherMs = iceServers.length ? GATHER_RELAY_MS : GATHER_MS;
    this.#connection = new RTCPeerConnection({ iceServers });
    this.#sender = this.#connection.addTrack(track, new MediaStream([track]));
    this.#connection.ontrack = (event) => onSound(event.streams[0] ?? new MediaStream([event.track]));
  }

  /** The offer, with its candidates in it. */
  async offer() {
    const pc = this.#connection;
    await pc.setLocalDescription(await pc.createOffer());
    if (pc.iceGatheringState !== "complete") {
      await new Promise((resolve) => {
        const enough = setTimeout(resolve, this.#gatherMs);
        pc.addEventListener("icegatheringstatechange", () => {
          if (pc.iceGatheringState !== "complete") return;
          clearTimeout(enough);
          resolve();
        });
      });
    }
    return pc.localDescription.sdp;
  }

  async accept(sdp) {
    await this.#connection.setRemoteDescription({ type: "answer", sdp });
  }

  /** Until sound can flow; rejects after `withinMs`, or when it is known that it cannot. */
  connected(withinMs) {
    const pc = this.#connection;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("not connected")), withinMs);
      const look = () => {
        if (pc.connectionState === "connected") {
          clearTimeout(late);
          this.#watch();
          resolve();
        } else if (["failed", "closed"].includes(pc.connectionState)) {
          clearTimeout(late);
          reject(new Error("not connected"));
        }
      };
      pc.addEventListener("connectionstatechange", look);
      look();
    });
  }

  /** Send another track from now on. */
  async use(track) {
    await this.#sender.replaceTrack(track);
  }

  close() {
    this.#down = true;
    clearInterval(this.#timer);
    this.#connection.close();
  }

  #watch() {
    let packets = -1;
    let since = performance.now();
    this.#connection.addEventListener("connectionstatechange", () => {
      if (this.#connection.connectionState === "failed") this.#isDown();
    });
    this.#timer = setInterval(async () => {
      const now = await this.#packets();
      if (now !== packets) {
        packets = now;
        since = performance.now();
      } else if (performance.now() - since > QUIET_MS) {
        this.#isDown();
      }
    }, WATCH_MS);
  }

  async #packets() {
    let packets = 0;
    for (const report of (await this.#connection.getStats()).values()) {
      if (report.type === "inbound-rtp") packets += report.packetsReceived ?? 0;
    }
    return packets;
  }

  #isDown() {
    if (this.#down) return;
    this.close();
    this.#onDown();
  }
}
