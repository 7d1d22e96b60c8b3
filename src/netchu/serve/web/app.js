// Starts the page: language, token, and the ways in which images come in.

import { batchName, refreshKept } from "./kept.js";
import { refresh } from "./learning.js";
import { add, onSaved } from "./lines.js";
import { ask, askToken, hasToken } from "./server.js";
import { say, speak } from "./words.js";

const drop = document.getElementById("drop");
const files = document.getElementById("files");
let about = null;

function take(list) {
  const images = [...list].filter((file) => file instanceof File);
  if (images.length) add(images, batchName());
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
  if (!about) return;
  document.getElementById("formats").textContent = say("formats", { mb: Math.round(about.limits.file_bytes / 1e6) });
  document.getElementById("token-open").hidden = !about.token;
}
document.addEventListener("spoken", describe);

const refreshAll = () => Promise.all([refresh(), refreshKept(about.token)]);
onSaved(refreshAll);
document.addEventListener("kept-changed", async () => {
  if (about.token && !hasToken() && !(await askToken())) return;
  await refreshAll();
});
speak();
about = await ask("api/about");
describe();
await refreshAll();
