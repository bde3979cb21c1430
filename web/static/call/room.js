/** The page of the call: forms that work by themselves, made live. */

import { Call } from "./call.js";
import { Captions } from "./captions.js";
import { Check } from "./check.js";
import { Microphone, obstacle } from "./microphone.js";
import { guardDoublePresses } from "./press.js";
import { Tabs, nameOf } from "./tabs.js";
import { View } from "./view.js";

const TYPING_EVERY_MS = 1500;
const MAX_TYPED = 8000;

guardDoublePresses();
const find = (id) => document.getElementById(id);
const facts = JSON.parse(find("facts").textContent);
const token = location.pathname.split("/")[2];
const name = await nameOf(token);
const view = new View(facts.words);
const captions = new Captions(find("captions"), document.querySelector("[role=log]"), facts.words, facts.language);
const microphone = new Microphone();
const check = new Check(microphone, view);
const tabs = new Tabs(name);
const draft = new (class {
  /** What is being typed, kept over a reload; what was sent stays until it is on the server's disk, and
   *  is known over a reload too, or it would stand there to be sent a second time. */
  #key = `viva-draft-${name}`;
  #sentKey = `viva-sent-${name}`;
  #box = find("type-answer");
  #sent = sessionStorage.getItem(this.#sentKey);
  #leg = null;

  constructor() {
    this.#box.value ||= sessionStorage.getItem(this.#key) ?? "";
    this.#box.addEventListener("input", () => this.keep());
  }

  get text() {
    return this.#box.value.trim();
  }

  keep() {
    sessionStorage.setItem(this.#key, this.#box.value);
  }

  /** Whether just this was sent on this leg. It arrives, however long a bad network holds it up, or the
   *  leg is left: pressed again in the meantime, it would be two answers. */
  isOnItsWay(leg) {
    return this.#sent === this.text && this.#leg === leg;
  }

  sent(leg) {
    this.#sent = this.text;
    this.#leg = leg;
    sessionStorage.setItem(this.#sentKey, this.#sent);
  }

  /** The server did not take something: this may be sent again. */
  refused() {
    this.#leg = null;
  }

  settled() {
    if (this.#sent === null || !captions.endsWith(this.#sent)) return;
    if (this.text === this.#sent) this.#box.value = "";
    this.#sent = null;
    sessionStorage.removeItem(this.#sentKey);
    this.keep();
    view.passing("sent", view.say("sent"));
  }
})();
const call = new Call({
  token,
  iceServers: facts.iceServers,
  view,
  captions,
  tabs,
  sound: find("interviewer"),
  onSettled: () => draft.settled(),
  onRefused: () => draft.refused(),
});

let mode = facts.mode;

// --- joining --------------------------------------------------------------------------------------
async function join(chosen) {
  mode = chosen;
  if (mode === "voice" && !(await check.open())) {
    if (find("before").hidden) {
      view.call();
      view.state("paused");
      view.notice("microphone", find("check-problem").textContent, { kind: "bad", actions: choices() });
    } else {
      find("check-problem").scrollIntoView({ block: "center" });
    }
    offerOtherMode();
    return;
  }
  view.dismiss("microphone", "network");
  call.start(mode, microphone);
  keepAwake();
  find("call-title").focus({ preventScroll: true });
}

function choices() {
  return [
    [view.say("network.try_again"), () => join("voice")],
    [view.say("network.in_writing"), () => join("text")],
  ];
}

function offerOtherMode() {
  const other = mode === "voice" ? "text" : "voice";
  const button = find("other-mode");
  button.hidden = other === "voice" && obstacle() !== null;
  button.textContent = view.say(`switch_to_${other}`);
  button.onclick = () => {
    mode = other;
    find("check").hidden = mode !== "voice";
    find("text-chosen").hidden = mode !== "text";
    offerOtherMode();
    if (other === "text") find("begin").focus();
  };
}

async function keepAwake() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // A battery that is low, or a page that is hidden: asked again when it is seen.
  }
}

// --- the forms, made live -------------------------------------------------------------------------
function onSubmit(id, act) {
  find(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.submitter);
  });
}

onSubmit("begin-form", () => join(mode));

onSubmit("answer-form", () => {
  if (!draft.text) return;
  view.dismiss("not-sent");
  if (draft.text.length > MAX_TYPED) {
    view.notice("not-sent", view.say("wrong.too_long"), { kind: "bad" });
  } else if (draft.isOnItsWay(call.leg)) {
    view.passing("sent", view.say("on_its_way"));
  } else if (call.send({ type: "typed", text: draft.text })) {
    draft.sent(call.leg);
  } else {
    view.notice("not-sent", view.say("wrong.not_sent"), { kind: "bad" });
  }
});

for (const id of ["request-form", "more-form"]) {
  onSubmit(id, (button) => {
    const sent = call.send({ type: "request", request: button.value });
    if (!sent) view.notice("not-sent", view.say("network.offline"));
    else if (button.value === "extra_time") view.passing("more-time", view.say("more_time_given"));
  });
}

onSubmit("end-form", () => {
  if (!call.send({ type: "hang_up" })) view.notice("not-sent", view.say("network.offline"));
});

find("end-cancel").hidden = false;
find("end-cancel").addEventListener("click", () => {
  find("end-details").open = false;
  find("end").focus();
});

let lastTold = 0;
find("type-answer").addEventListener("input", () => {
  if (performance.now() - lastTold < TYPING_EVERY_MS) return;
  lastTold = performance.now();
  call.send({ type: "typing" });
});
find("type-answer").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("answer-form").requestSubmit();
});

find("to-text").addEventListener("click", () => join(call.mode === "voice" ? "text" : "voice"));

// --- the microphone, in mid-call ------------------------------------------------------------------
find("call-device").addEventListener("change", async (event) => {
  try {
    await microphone.use(event.target.value);
  } catch (error) {
    view.notice("microphone", view.say(`microphone.${error.kind}`), { kind: "bad" });
    check.list();
  }
});
for (const gone of ["lost", "revoked"]) {
  microphone.addEventListener(gone, () => {
    call.useTrack(microphone.track);
    if (call.mode === "voice") view.notice("microphone", view.say(`microphone.${gone}`), { kind: "bad", actions: choices() });
  });
}
microphone.addEventListener("muted", () => view.notice("microphone", view.say("microphone.muted"), { kind: "bad" }));
microphone.addEventListener("unmuted", () => {
  view.dismiss("microphone");
  view.passing("microphone-on", view.say("microphone.unmuted"));
});
for (const working of ["back", "switched"]) {
  microphone.addEventListener(working, () => {
    call.useTrack(microphone.track);
    check.list();
    view.dismiss("microphone", "server-silent", "server-no_audio");
    view.passing("microphone-on", view.say(`microphone.${working}`, { device: microphone.label }));
  });
}
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !find("call").hidden) keepAwake();
});

// --- where this page stands -----------------------------------------------------------------------
const problem = obstacle();
if (facts.begun) {
  const before = tabs.wasHere;
  if (before && (await tabs.free())) join(before);
  else view.elsewhere(facts.status === "live" ? "elsewhere" : "away", () => join(before ?? (problem ? "text" : mode)));
} else {
  if (problem && mode === "voice") {
    check.problem(problem);
    find("mic-check").hidden = true;
    mode = "text";
    find("text-chosen").hidden = false;
  }
  find("check").hidden = mode !== "voice" && !problem;
  offerOtherMode();
}
document.documentElement.dataset.ready = "yes";
