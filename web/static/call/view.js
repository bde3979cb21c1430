/** The parts of the page that change during a call. */

const ANNOUNCED = ["listening", "reconnecting", "paused", "ended"];
const TIME_EVERY_MS = 10_000;

export class View {
  #words;
  #find = (id) => document.getElementById(id);
  #endsAt = null;
  #mode = "voice";

  constructor(words) {
    this.#words = words;
    setInterval(() => this.#showTime(), TIME_EVERY_MS);
  }

  /** A sentence of ours, with its `$facts`. */
  say(key, facts = {}) {
    return this.#words[key].replace(/\$(\w+)/g, (_, name) => facts[name] ?? "");
  }

  /** By voice, or in writing: what a state asks for is worded differently. */
  mode(mode) {
    this.#mode = mode;
    this.#find("call-device-field").hidden = mode !== "voice";
    this.#find("to-text").textContent = this.say(mode === "voice" ? "switch_to_text" : "switch_to_voice");
    this.#find("switch-mode").hidden = false;
    // By voice the interviewer is heard; a screen reader would speak over it.
    document.querySelector("[role=log]").setAttribute("aria-live", mode === "voice" ? "off" : "polite");
  }

  call() {
    this.#find("before").hidden = true;
    this.#find("elsewhere").hidden = true;
    this.#find("call").hidden = false;
  }

  /** One of connecting, listening, thinking, speaking, reconnecting, paused, ended. */
  state(state) {
    const element = this.#find("state");
    if (element.dataset.state === state && element.dataset.live) return;
    element.dataset.state = state;
    element.dataset.live = "yes";
    const written = this.#mode === "text" ? this.#words[`state_text.${state}`] : undefined;
    element.textContent = written ?? this.say(`state.${state}`);
    if (ANNOUNCED.includes(state)) this.#find("announcer").textContent = element.textContent;
    if (["reconnecting", "paused", "connecting"].includes(state)) this.#endsAt = null;
  }

  /** Where the interview stands: a state message of the server. */
  progress({ stage, question, questions, practice, time_left_s: left }) {
    if (stage !== undefined) this.#find("stage").textContent = stage;
    this.#find("question").textContent = question ? this.say("progress", { question, questions }) : "";
    this.#find("practising").hidden = !practice;
    // The page's own clock may be wrong by a day: only how long there is left is taken from the server.
    this.#endsAt = left === undefined ? null : performance.now() + left * 1000;
    this.#showTime();
  }

  /** Something to be told; `key` replaces what was told of the same. Actions are `[text, do]`. */
  notice(key, text, { kind = "warn", actions = [], among = "notices" } = {}) {
    this.dismiss(key);
    const note = document.createElement("div");
    note.className = `note ${kind}`;
    note.dataset.notice = key;
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    note.append(paragraph);
    if (actions.length) {
      const row = document.createElement("p");
      row.className = "actions";
      for (const [label, act] of actions) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = label;
        button.addEventListener("click", act);
        row.append(button);
      }
      note.append(row);
    }
    this.#find(among).append(note);
  }

  /** As `notice`, gone by itself after some seconds; it lies over the page, which does not move when it goes:
   *  somebody may be about to press something. */
  passing(key, text, kind = "good") {
    this.notice(key, text, { kind, among: "passing" });
    const note = document.querySelector(`[data-notice="${key}"]`);
    setTimeout(() => note.remove(), 6000);
  }

  dismiss(...keys) {
    for (const key of keys) document.querySelector(`[data-notice="${key}"]`)?.remove();
  }

  /** The interview is, or was, somewhere else; `then` goes on here. */
  elsewhere(kind, then) {
    this.#find("before").hidden = true;
    this.#find("call").hidden = true;
    this.#find("elsewhere").hidden = false;
    this.#find("elsewhere-title").textContent = this.say(kind === "away" ? "elsewhere.away_title" : "elsewhere.title");
    this.#find("elsewhere-text").textContent = this.say(kind === "away" ? "elsewhere.away_text" : "elsewhere.text");
    this.#find("continue-here").onclick = then;
    this.#find("elsewhere-title").focus();
  }

  /** The browser plays no sound before somebody has pressed something. */
  soundBlocked(play) {
    this.#find("sound-blocked").hidden = false;
    this.#find("sound-on").onclick = async () => {
      await play();
      this.#find("sound-blocked").hidden = true;
    };
  }

  #showTime() {
    if (this.#endsAt === null) return;
    const minutes = Math.round((this.#endsAt - performance.now()) / 60_000);
    this.#find("time-left").textContent = minutes > 1 ? this.say("time_left", { minutes }) : this.say("time_left_one");
  }
}
