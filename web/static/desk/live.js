// What is said now, and the state of the call, for as long as the page is looked at. The server sends
// the transcript so far first, so that nothing is missed however often the connection is made again.
const state = document.getElementById("state");
const where = document.getElementById("where");
const captions = document.getElementById("captions");
const list = captions.querySelector("ol");
const interim = document.getElementById("interim");
const words = JSON.parse(state.dataset.words);
let source = null;

function open() {
  source = new EventSource(state.dataset.live);
  source.addEventListener("transcript", (event) => transcript(JSON.parse(event.data)));
  source.addEventListener("state", (event) => stands(JSON.parse(event.data)));
  source.addEventListener("caption", (event) => caption(JSON.parse(event.data)));
  source.addEventListener("error", lost);
}

function close() {
  source?.close();
  source = null;
}

function lost() {
  say("reconnecting", words.lost);
  if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
  close();
  setTimeout(() => location.reload(), 3000); // signed out, or erased: the page knows
}

function transcript(told) {
  if (told.status === "ended") return over();
  const known = told.status === "live" || told.status === "away";
  if (!known || state.textContent === words.lost) say("none", words.none);
  for (const said of told.utterances) put(said.id, said.speaker, said.text, said.t0);
}

function stands(now) {
  if (now.state === "ended") return over();
  say(now.state, words[now.state] ?? now.state);
  const told = [now.stage];
  if (now.practice) told.push(words.practice);
  else if (now.questions) told.push(fill(words.question, now));
  if (now.time_left_s !== undefined) told.push(fill(words.time_left, { minutes: Math.ceil(now.time_left_s / 60) }));
  where.replaceChildren(...told.filter(Boolean).map(span));
}

function caption(said) {
  if (said.final) {
    interim.textContent = "";
    if (said.text.trim()) put(said.utterance_id, said.speaker, said.text);
  } else {
    interim.textContent = `${words[said.speaker]}: ${said.text}`;
  }
}

function over() {
  close();
  location.reload(); // the page of an interview that has ended
}

function put(id, speaker, text, seconds) {
  document.getElementById("nothing")?.remove();
  captions.hidden = false;
  const atEnd = captions.scrollHeight - captions.scrollTop - captions.clientHeight < 40;
  let item = [...list.children].find((one) => one.dataset.id === id);
  if (!item) {
    item = document.createElement("li");
    item.className = speaker;
    item.dataset.id = id;
    const said = span(text, "said");
    said.dir = "auto";
    said.lang = interim.lang;
    const time = document.createElement("time");
    if (seconds !== undefined) time.textContent = clock(seconds);
    item.append(time, " ", span(words[speaker], "who"), " ", said);
    list.append(item);
  } else if (item.querySelector(".said").textContent !== text) {
    item.querySelector(".said").textContent = text;
  }
  if (atEnd) captions.scrollTop = captions.scrollHeight;
}

function say(name, text) {
  state.dataset.state = name;
  if (state.textContent !== text) state.textContent = text;
}

function span(text, name = "") {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return [Math.floor(whole / 60), whole % 60].map((n) => String(n).padStart(2, "0")).join(":");
}

function fill(text, facts) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => facts[name] ?? whole);
}

// A browser opens only a few connections to one server: those of pages in the background are let go.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else if (!source) open();
});
addEventListener("pagehide", close);
if (!document.hidden) open();
captions.scrollTop = captions.scrollHeight;
