// The link that is shown once: a button that copies it, and an address that can be loaded again
// without making another.
const input = document.getElementById("link");
const button = document.getElementById("copy");
const said = document.getElementById("copied");

history.replaceState(null, "", document.querySelector("[data-address]").dataset.address);
button.hidden = false;
button.addEventListener("click", async () => {
  input.select();
  said.textContent = (await copied(input.value)) ? said.dataset.good : said.dataset.bad;
});

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text); // only at https: and on this machine
    return true;
  } catch {
    return document.execCommand("copy");
  }
}
