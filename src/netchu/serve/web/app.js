// Starts the page: language, token, and the ways in which images come in.

import { refresh } from "./learning.js";
import { add, onSaved } from "./lines.js";
import { ask, askToken } from "./server.js";
import { say, speak } from "./words.js";

const drop = document.getElementById("drop");
const files = document.getElementById("files");
const wholePage = document.getElementById("whole-page");
let about = null;

function take(list) {
  const images = [...list].filter((file) => file instanceof File);
  if (images.length) add(images, wholePage.checked);
}

files.addEventListener("change", () => {
  take(files.files);
  files.value = "";
});
document.addEventListener("paste", (event) => take(event.clipboardData?.files ?? []));
for (const kind of ["dragenter", "dragover"])
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer?.files ?? []);
});

for (const button of document.querySelectorAll("[data-language]"))
  button.addEventListener("click", () => speak(button.dataset.language));
document.getElementById("token-open").addEventListener("click", askToken);

function describe() {
  document.getElementById("drop-hint").textContent = wholePage.checked ? say("drop_page") : say("drop");
  if (!about) return;
  document.getElementById("formats").textContent = say("formats", { mb: Math.round(about.limits.file_bytes / 1e6) });
  document.getElementById("token-open").hidden = !about.token;
  document.getElementById("whole-page-label").hidden = !about.page;
}
document.addEventListener("spoken", describe);
wholePage.addEventListener("change", describe);

onSaved(refresh);
speak();
about = await ask("api/about");
describe();
await refresh();
