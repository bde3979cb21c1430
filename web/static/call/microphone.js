/** The microphone: opened, listened to for its level, and watched for being lost, muted or changed.
 *
 *  While there is none, silence is sent in its place, so that the line stays up and the candidate can
 *  type. Events: `lost` and `revoked`, `back`, `muted`, `unmuted`, `switched`, `devices`. */

const WANTED = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const PROBLEMS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "taken",
  AbortError: "taken",
};
const RETRY_MS = 2000;

export class MicrophoneProblem extends Error {
  /** `kind` names the words: denied, none, taken, insecure, unsupported or failed. */
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/** What keeps this browser from a call by voice, if anything does. */
export function obstacle() {
  if (!window.isSecureContext) return "insecure";
  if (!window.RTCPeerConnection || !navigator.mediaDevices?.getUserMedia) return "unsupported";
  return null;
}

export class Microphone extends EventTarget {
  #track = null;
  #silence = null;
  #context = null;
  #analyser = null;
  #samples = null;
  #wanted = "";
  #gone = false;
  #retry = null;

  /** Ask for it; rejects with a `MicrophoneProblem`. An empty id is the system's choice. */
  async open(deviceId = "") {
    const problem = obstacle();
    if (problem) throw new MicrophoneProblem(problem);
    this.#adopt(await this.#ask(deviceId));
    this.#wanted = deviceId;
    navigator.mediaDevices.ondevicechange = () => this.#devicesChanged();
    this.#watchPermission();
  }

  /** What is to be sent now. */
  get track() {
    return this.#track?.readyState === "live" ? this.#track : this.#quiet();
  }

  get live() {
    return this.#track?.readyState === "live";
  }

  get deviceId() {
    return this.#track?.getSettings().deviceId ?? "";
  }

  get label() {
    return this.#track?.label ?? "";
  }

  /** Microphones there are, `{id, label}`. */
  async devices() {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all.filter((one) => one.kind === "audioinput").map((one) => ({ id: one.deviceId, label: one.label }));
  }

  /** Use another one; rejects with a `MicrophoneProblem` and keeps the present one. */
  async use(deviceId) {
    const track = await this.#ask(deviceId);
    this.#wanted = deviceId;
    this.#adopt(track);
    this.#tell("switched");
  }

  /** How loud it is now, 0 to 100. */
  level() {
    if (!this.#analyser) this.#listen();
    if (!this.#analyser) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const peak = this.#samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const decibels = 20 * Math.log10(Math.max(peak, 1e-4));
    return Math.round(Math.max(0, Math.min(100, (decibels + 60) * (100 / 54))));
  }

  close() {
    clearTimeout(this.#retry);
    if (navigator.mediaDevices) navigator.mediaDevices.ondevicechange = null;
    this.#track?.stop();
    this.#context?.close();
  }

  async #ask(deviceId) {
    const audio = deviceId ? { ...WANTED, deviceId: { exact: deviceId } } : WANTED;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio, video: false });
      return stream.getAudioTracks()[0];
    } catch (error) {
      throw new MicrophoneProblem(PROBLEMS[error.name] ?? "failed");
    }
  }

  #adopt(track) {
    const before = this.#track;
    this.#track = track;
    this.#analyser = null;
    this.#gone = false;
    before?.stop();
    track.onended = () => this.#lost("lost");
    track.onmute = () => this.#tell("muted");
    track.onunmute = () => this.#tell("unmuted");
  }

  #lost(how) {
    if (this.#gone) return;
    this.#gone = true;
    this.#track?.stop();
    this.#tell(how);
    if (how === "lost") this.#tryAgain();
  }

  #tryAgain() {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(async () => {
      if (!this.#gone) return;
      try {
        this.#adopt(await this.#ask(""));
        this.#tell("back");
      } catch (error) {
        if (error.kind === "denied") this.#tell("revoked");
        else this.#tryAgain();
      }
    }, RETRY_MS);
  }

  async #devicesChanged() {
    this.#tell("devices");
    if (this.#gone) this.#tryAgain();
    else if (!this.live) this.#lost("lost");
    else if (this.#wanted && !(await this.devices()).some((one) => one.id === this.#wanted)) this.#lost("lost");
  }

  async #watchPermission() {
    try {
      const permission = await navigator.permissions.query({ name: "microphone" });
      permission.onchange = () => {
        if (permission.state === "denied") this.#lost("revoked");
        else if (permission.state === "granted" && this.#gone) this.#tryAgain();
      };
    } catch {
      // A browser that does not tell of permissions still ends the track.
    }
  }

  #audio() {
    this.#context ??= new AudioContext();
    if (this.#context.state === "suspended") this.#context.resume();
    return this.#context;
  }

  #listen() {
    if (!this.live) return;
    const context = this.#audio();
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    context.createMediaStreamSource(new MediaStream([this.#track])).connect(this.#analyser);
  }

  #quiet() {
    if (!this.#silence) {
      const context = this.#audio();
      const out = context.createMediaStreamDestination();
      const source = context.createConstantSource();
      const gain = context.createGain();
      gain.gain.value = 0;
      source.connect(gain).connect(out);
      source.start();
      this.#silence = out.stream.getAudioTracks()[0];
    }
    return this.#silence;
  }

  #tell(type) {
    this.dispatchEvent(new Event(type));
  }
}
