// Loads the page again once the report is there; until then nothing moves under the reader.
const EVERY_MS = 4000;
const address = document.querySelector("[data-wait]").dataset.wait;

async function look() {
  try {
    const answer = await fetch(address, { redirect: "manual" });
    if (answer.ok || answer.type === "opaqueredirect") {
      location.reload(); // there, or the login has ended
      return;
    }
  } catch {
    // The server cannot be reached: the next look may find it.
  }
  setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
