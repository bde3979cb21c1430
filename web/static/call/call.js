/** The call: joined by voice or in writing, and joined again for as long as it takes.
 *
 *  A leg is one control channel and, by voice, one peer. When either is down the whole leg is left and
 *  a new one is made; the server goes on at the same question. The newest leg of an interview wins, so
 *  a leg that was replaced never comes back by itself. */

import { Channel } from "./channel.js";
import { Peer } from "./peer.js";
import { Reach } from "./reach.js";

const CONNECT_MS = 12_000;
const OFFER_MS = 7000;
const PAUSES_MS = [0, 300, 600, 1200, 2500];
/** As long as a page that is being left may still run. */
const LEAVING_MS = 2000;
const REPLACED = 4409;
const REFUSED = 4403;
const NO_REFUSAL = ["no_audio", "silent"];
const GONE = ["unknown_invite", "expired_invite", "revoked_invite", "erased", "ended", "not_consented"];

/** What the server answered, or what kept it from answering. */
class Refused extends Error {
  constructor(code, retryAfter = 0) {
    super(code);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export class Call {
  #token;
  #iceServers;
  #view;
  #captions;
  #tabs;
  #sound;
  #onSettled;
  #onRefused;
  #mode = "voice";
  #microphone = null;
  #leg = 0;
  #channel = null;
  #peer = null;
  #epoch = null;
  #joined = false;
  /** What the server said last on this leg: told before the sound flows, shown when it does. */
  #state = null;
  #everConnected = false;
  #tries = 0;
  #retry = null;
  /** The network failed us: nothing is joined before the server is known to answer. */
  #doubtful = false;
  #reach = null;
  #refused = null;
  #over = false;
  #leavingAt = -LEAVING_MS;

  /** `sound` is the audio element; `onSettled` is told when an answer is on the disk, `onRefused` when the
   *  server did not take a message. */
  constructor({ token, iceServers, view, captions, tabs, sound, onSettled, onRefused }) {
    this.#token = token;
    this.#iceServers = iceServers;
    this.#view = view;
    this.#captions = captions;
    this.#tabs = tabs;
    this.#sound = sound;
    this.#onSettled = onSettled;
    this.#onRefused = onRefused;
    addEventListener("online", () => this.#now());
    // Firefox closes a page's sockets as soon as the next one, or the same again, is on its way: the
    // page that is being left must not join once more, before the new one does.
    addEventListener("beforeunload", () => {
      this.#leavingAt = performance.now();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#now();
    });
  }

  get mode() {
    return this.#mode;
  }

  /** A number for the connection there is now; another one after every rejoin. */
  get leg() {
    return this.#leg;
  }

  /** Join, whoever holds the call now. By voice a microphone comes with it. */
  start(mode, microphone) {
    this.#mode = mode;
    this.#microphone = microphone;
    this.#over = false;
    this.#everConnected = false;
    this.#tabs.take(mode, () => this.#replaced());
    this.#view.mode(mode);
    this.#view.call();
    this.#view.state("connecting");
    this.#again(0);
  }

  /** Whether the message is on its way. */
  send(message) {
    return this.#joined && this.#channel !== null && this.#channel.send(message);
  }

  /** Another track is to be sent. */
  async useTrack(track) {
    await this.#peer?.use(track);
  }

  // --- joining ----------------------------------------------------------------------------------
  #now() {
    this.#reach?.now();
    if (!this.#over && !this.#joined && this.#retry !== null) this.#again(0);
  }

  #again(afterMs) {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#join(), afterMs);
  }

  async #join() {
    this.#leave();
    const leg = this.#leg;
    this.#retry = null;
    this.#refused = null;
    this.#captions.begin();
    try {
      if (this.#doubtful) await this.#reached();
      if (leg !== this.#leg) return;
      await (this.#mode === "voice" ? this.#joinByVoice(leg) : this.#openChannel(leg));
      if (leg !== this.#leg) return;
      this.#joined = true;
      this.#tries = 0;
      if (this.#state) this.#view.state(this.#state);
      this.#view.dismiss("network", "waiting");
      this.#everConnected = true;
      await this.#catchUp(leg);
    } catch (error) {
      if (leg === this.#leg) this.#failed(error);
    }
  }

  /** Until the server answers; for ever, where the leg is left before that. */
  async #reached() {
    await new Promise((resolve) => {
      this.#reach = new Reach({
        onReached: resolve,
        onLate: () => this.#view.notice("network", this.#view.say("network.offline")),
      });
    });
    this.#doubtful = false;
  }

  async #joinByVoice(leg) {
    const peer = new Peer({
      iceServers: this.#iceServers,
      track: this.#microphone.track,
      onSound: (stream) => this.#play(stream),
      onDown: () => this.#down(leg),
    });
    this.#peer = peer;
    const [sdp] = await Promise.all([peer.offer(), this.#openChannel(leg)]);
    if (leg !== this.#leg) return;
    const answer = await this.#post("/api/call/offer", { type: "offer", sdp });
    if (leg !== this.#leg) return;
    this.#epoch = answer.epoch;
    await peer.accept(answer.sdp);
    await peer.connected(CONNECT_MS);
  }

  #openChannel(leg) {
    this.#channel = new Channel({
      token: this.#token,
      mode: this.#mode,
      onMessage: (message) => {
        if (leg === this.#leg) this.#told(message);
      },
      onClose: (code) => {
        if (leg === this.#leg) this.#closed(leg, code);
      },
    });
    return this.#channel.opened();
  }

  async #post(path, body) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${this.#token}` },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(OFFER_MS),
      });
    } catch {
      throw new Refused("network");
    }
    const answer = await response.json();
    if (!response.ok) throw new Refused(answer.code, answer.retry_after_s ?? 0);
    return answer;
  }

  /** What was said while nobody listened here: between two legs, or while the page was loaded. */
  async #catchUp(leg) {
    try {
      const response = await fetch("/api/call/transcript", {
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(OFFER_MS),
      });
      if (!response.ok || leg !== this.#leg) return;
      this.#captions.replace((await response.json()).utterances);
      this.#onSettled();
    } catch {
      // The captions go on; the transcript at the end has everything.
    }
  }

  // --- being there ------------------------------------------------------------------------------
  #told(message) {
    switch (message.type) {
      case "state":
        this.#state = message.state;
        this.#view.progress(message);
        if (message.state === "ended") this.#finish();
        else if (this.#joined || this.#mode === "text") this.#view.state(message.state);
        else this.#view.state(this.#everConnected ? "reconnecting" : "connecting");
        break;
      case "caption":
        this.#captions.add(message);
        break;
      case "committed":
        if (message.event === "turn_settled") this.#onSettled();
        break;
      case "notice":
        this.#noticed(message);
    }
  }

  #noticed(message) {
    if (message.code === "replaced") {
      if (message.epoch !== undefined && message.epoch === this.#epoch) this.#replaced();
    } else {
      this.#refused = message;
      this.#view.notice(`server-${message.code}`, message.text);
      if (!NO_REFUSAL.includes(message.code)) this.#onRefused();
    }
  }

  async #play(stream) {
    this.#sound.srcObject = stream;
    try {
      await this.#sound.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.#view.soundBlocked(() => this.#sound.play());
    }
  }

  // --- leaving ----------------------------------------------------------------------------------
  #closed(leg, code) {
    if (code === REPLACED) this.#replaced();
    else if (code === REFUSED && GONE.includes(this.#refused?.code)) this.#finish();
    else if (code === REFUSED) this.#failed(new Refused(this.#refused?.code ?? "failed", this.#refused?.retry_after_s ?? 3));
    else this.#down(leg);
  }

  #down(leg) {
    if (leg !== this.#leg || this.#over) return;
    this.#failed(new Refused("network"));
  }

  #failed(error) {
    const wasJoined = this.#joined;
    this.#leave();
    if (this.#over) return;
    if (GONE.includes(error.code)) {
      this.#finish();
      return;
    }
    this.#view.state(this.#everConnected ? "reconnecting" : "connecting");
    if (error.code === "busy") {
      this.#view.notice("waiting", this.#view.say("network.waiting"));
      this.#again(1000 * Math.min(error.retryAfter || 10, 15));
      return;
    }
    if (!(error instanceof Refused) && this.#tries >= 1) this.#blocked();
    else if (this.#tries >= 3) this.#view.notice("network", this.#view.say("network.offline"));
    this.#doubtful = true;
    const pause = wasJoined ? 0 : PAUSES_MS[Math.min(this.#tries, PAUSES_MS.length - 1)];
    this.#tries += 1;
    const leaving = performance.now() - this.#leavingAt < LEAVING_MS;
    this.#again(leaving ? LEAVING_MS : pause * (0.75 + Math.random() / 2));
  }

  /** The server answers, and no sound goes through. */
  #blocked() {
    this.#view.notice("network", this.#view.say("network.blocked"), {
      actions: [
        [this.#view.say("network.try_again"), () => this.#now()],
        [this.#view.say("network.in_writing"), () => this.start("text", this.#microphone)],
      ],
    });
  }

  #replaced() {
    if (this.#over) return;
    this.#over = true;
    this.#leave();
    clearTimeout(this.#retry);
    this.#tabs.leave();
    this.#view.state("paused");
    this.#view.elsewhere("elsewhere", () => this.start(this.#mode, this.#microphone));
  }

  /** The server's page says what is so now. */
  #finish() {
    this.#over = true;
    this.#leave();
    clearTimeout(this.#retry);
    this.#tabs.leave();
    this.#view.state("ended");
    location.replace(location.pathname);
  }

  #leave() {
    this.#leg += 1;
    this.#joined = false;
    this.#state = null;
    this.#epoch = null;
    this.#reach?.stop();
    this.#channel?.close();
    this.#peer?.close();
    this.#reach = this.#channel = this.#peer = null;
  }
}
