// One player for the whole report: a time or a quote plays from there, and what is heard is marked.
const audio = document.getElementById("audio");
const passages = [...document.querySelectorAll("#talk li[data-from]")];

function playFrom(seconds) {
  const begin = () => {
    audio.currentTime = seconds;
    audio.play().catch(() => {}); // the browser wants a press of its own: the player shows it
  };
  if (audio.readyState > 0) begin();
  else {
    audio.addEventListener("loadedmetadata", begin, { once: true });
    audio.load();
  }
}

if (audio) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-play]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!link.classList.contains("quote")) event.preventDefault(); // a quote jumps to its passage too
    playFrom(Number(link.dataset.play));
  });
  audio.addEventListener("timeupdate", () => {
    const at = audio.currentTime;
    for (const one of passages) {
      const heard = !audio.paused && at >= Number(one.dataset.from) && at < Number(one.dataset.to);
      one.classList.toggle("playing", heard);
    }
  });
}

// A jump to a passage takes the keyboard there too.
addEventListener("hashchange", () => document.getElementById(location.hash.slice(1))?.focus());
