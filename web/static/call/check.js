/** The check before the call: the microphone's level, and a sentence recorded and played back. Nothing
 *  of it leaves the browser. */

const RECORD_MS = 8000;
const LOOK_MS = 100;
const LOUD = 30;

export class Check {
  #microphone;
  #view;
  #recorder = null;
  #stop = null;
  #address = null;
  #find = (id) => document.getElementById(id);

  constructor(microphone, view) {
    this.#microphone = microphone;
    this.#view = view;
    this.#find("mic-check").addEventListener("click", () => this.open());
    this.#find("check-device").addEventListener("change", (event) => this.#use(event.target.value));
    this.#find("record").addEventListener("click", () => (this.#stop ? this.#stop() : this.#record()));
    microphone.addEventListener("devices", () => this.list());
  }

  /** Ask for the microphone; whether there is one now. */
  async open() {
    try {
      if (!this.#microphone.live) await this.#microphone.open();
    } catch (error) {
      this.problem(error.kind);
      return false;
    }
    this.problem(null);
    this.#find("check-open").hidden = false;
    this.#find("mic-check").textContent = this.#view.say("check.again");
    this.list(); // a third of a second in some browsers: a call that goes on does not wait for it
    this.#watch();
    return true;
  }

  /** Say what is wrong, or that nothing is. */
  problem(kind) {
    const place = this.#find("check-problem");
    place.hidden = kind === null;
    place.textContent = kind === null ? "" : this.#view.say(`microphone.${kind}`);
    if (kind !== null) this.#find("check").hidden = false;
  }

  /** Fill the lists of microphones, before the call and in it. */
  async list() {
    if (!this.#microphone.live) return;
    const devices = await this.#microphone.devices();
    for (const id of ["check-device", "call-device"]) {
      const options = devices.map(({ id: value, label }) => new Option(label || value, value));
      this.#find(id).replaceChildren(...options);
      this.#find(id).value = this.#microphone.deviceId;
    }
  }

  async #use(deviceId) {
    try {
      await this.#microphone.use(deviceId);
      this.problem(null);
    } catch (error) {
      this.problem(error.kind);
    }
  }

  #watch() {
    const meter = this.#find("level");
    const text = this.#find("level-text");
    let heard = false;
    const timer = setInterval(() => {
      if (this.#find("before").hidden) {
        clearInterval(timer);
        return;
      }
      meter.value = this.#microphone.level();
      if (!heard && meter.value > LOUD) {
        heard = true;
        text.textContent = this.#view.say("check.heard");
      }
    }, LOOK_MS);
    setTimeout(() => {
      if (!heard) text.textContent = this.#view.say("check.quiet");
    }, 6000);
  }

  #record() {
    const pieces = [];
    const button = this.#find("record");
    const state = this.#find("record-state");
    this.#recorder = new MediaRecorder(new MediaStream([this.#microphone.track]));
    this.#recorder.ondataavailable = (event) => pieces.push(event.data);
    this.#recorder.onstop = () => {
      this.#stop = null;
      button.textContent = this.#view.say("check.record");
      state.textContent = this.#view.say("check.playing");
      this.#playBack(new Blob(pieces, { type: this.#recorder.mimeType }));
    };
    const late = setTimeout(() => this.#stop?.(), RECORD_MS);
    this.#stop = () => {
      clearTimeout(late);
      this.#recorder.stop();
    };
    this.#recorder.start();
    button.textContent = this.#view.say("check.stop");
    state.textContent = this.#view.say("check.recording");
  }

  #playBack(sound) {
    const audio = this.#find("played-back");
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = URL.createObjectURL(sound);
    audio.src = this.#address;
    audio.hidden = false;
    audio.play().catch(() => {}); // its own controls are there
  }
}
