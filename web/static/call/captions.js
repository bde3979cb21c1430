/** What is said, as it is said: one item an utterance. */

export class Captions {
  #list;
  #box;
  #words;
  #separator;
  #interim = null;
  /** Utterances told of since `begin`: what they say is not in every transcript yet. */
  #fresh = new Set();

  constructor(list, box, words, language) {
    this.#list = list;
    this.#box = box;
    this.#words = words;
    this.#separator = language === "zh" ? "" : " ";
  }

  /** A leg begins: a transcript that is asked for from now on lacks at most what is told from now on. */
  begin() {
    this.#fresh.clear();
  }

  /** A caption of the control channel. */
  add({ speaker, text, final, utterance_id: id }) {
    this.#fresh.add(id);
    if (speaker === "candidate" && !final) {
      this.#showInterim(text);
      return;
    }
    if (speaker === "candidate") this.#showInterim("");
    const item = this.#item(id) ?? this.#append(speaker, id);
    const said = item.querySelector(".said");
    // A candidate's turn comes in segments, an interviewer's line whole.
    const before = speaker === "candidate" ? said.textContent.trim() : "";
    said.textContent = before ? before + this.#separator + text.trim() : text;
    if (!said.textContent.trim()) item.remove();
    this.#scroll();
  }

  /** All that stands in the transcript, after a time in which captions may have been missed. */
  replace(utterances) {
    const told = new Set(utterances.map((one) => one.id));
    const later = [...this.#list.children].filter(({ dataset: { utterance: id } }) => this.#fresh.has(id) && !told.has(id));
    this.#list.replaceChildren();
    this.#interim = null;
    for (const one of utterances) {
      this.#append(one.speaker, one.id).querySelector(".said").textContent = one.interrupted ? `${one.text} —` : one.text;
    }
    this.#list.append(...later);
    this.#scroll();
  }

  /** Whether the candidate has said just this last. */
  endsWith(text) {
    const mine = [...this.#list.querySelectorAll("li.candidate:not(.interim) .said")];
    return mine.slice(-2).some((said) => seen(said.textContent).endsWith(seen(text)));
  }

  #item(id) {
    return [...this.#list.children].find((item) => item.dataset.utterance === id);
  }

  #append(speaker, id) {
    const item = document.createElement("li");
    item.className = speaker;
    if (id) item.dataset.utterance = id;
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = this.#words[`who.${speaker}`];
    const said = document.createElement("span");
    said.className = "said";
    said.dir = "auto";
    item.append(who, " ", said);
    this.#list.insertBefore(item, this.#interim);
    return item;
  }

  #showInterim(text) {
    if (!text.trim()) {
      this.#interim?.remove();
      this.#interim = null;
      return;
    }
    if (!this.#interim) {
      this.#interim = this.#append("candidate", "");
      this.#interim.classList.add("interim");
    }
    this.#interim.querySelector(".said").textContent = text;
    this.#scroll();
  }

  #scroll() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }
}

/** A text without what is not seen of it: the server leaves out marks that turn the direction, which
 *  keyboards for Arabic and Hebrew put in. */
function seen(text) {
  return text.replace(/[\p{C}\s]/gu, "");
}
