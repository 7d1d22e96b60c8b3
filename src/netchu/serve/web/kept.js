// What the service keeps: batches and their progress, the list with search, deleting with a way back, downloads.

import { addKept, isOpen } from "./lines.js";
import { ask, guarded, hasToken, made, notice } from "./server.js";
import { percent, say, when } from "./words.js";

const MOST = 20; // rows that are added at a time
const PAUSE = 300; // milliseconds without a key before the search begins

const place = (id) => document.getElementById(id);
const form = place("kept-form");
const rows = place("kept-rows");
let batches = [];
let samples = [];
let total = 0;
let locked = false; // until the token is given
let latest = 0; // number of the last question for rows
let timer;

export const batchName = () => place("batch").value.normalize("NFC").trim();

function asked() {
  const { search, of, state, order } = Object.fromEntries(new FormData(form));
  const query = new URLSearchParams({ search, state, order });
  if (of) query.set("batch", of);
  return query;
}

// `needsToken`: whether the service has one; without it being known nobody is asked for it at once.
export async function refreshKept(needsToken) {
  locked = needsToken && !hasToken();
  if (!locked) {
    await guarded(async () => {
      batches = await ask("api/batches");
      await load(Math.max(MOST, samples.length));
    });
  }
  draw();
}

async function load(most, start = 0) {
  const mine = ++latest;
  const query = asked();
  query.set("start", start);
  query.set("most", Math.min(200, most));
  const answer = await ask(`api/samples?${query}`);
  if (mine !== latest) return; // a later question is answered, or will be
  samples = [...samples.slice(0, start), ...answer.samples];
  total = answer.count;
}

function draw() {
  place("kept-locked").hidden = !locked;
  form.hidden = locked;
  place("kept-body").hidden = locked;
  place("batch-names").replaceChildren(...batches.map(({ name }) => made("option", { value: name })));
  drawBatches();
  drawProgress();
  const chosen = place("kept-batch").value;
  place("kept-batch").replaceChildren(
    made("option", { value: "", textContent: say("every_batch") }),
    ...batches.map(({ name }) => made("option", { value: name, textContent: name, selected: name === chosen })),
  );
  place("kept-count").textContent = say("kept_count", { count: total });
  rows.replaceChildren(...samples.map(row));
  place("kept-more").hidden = samples.length >= total;
}

function progressOf(batch) {
  return say("batch_progress", { checked: batch.checked, lines: batch.lines, doubtful: batch.doubtful });
}

function drawBatches() {
  place("batches").replaceChildren(
    ...batches.slice(0, 8).map((batch) => {
      const bar = made("progress", { max: batch.lines, value: batch.checked });
      bar.setAttribute("aria-label", batch.name);
      const go = made("button", { type: "button", textContent: say("batch_open"), disabled: batch.checked === batch.lines });
      go.setAttribute("aria-label", `${say("batch_open")}: ${batch.name}`);
      go.addEventListener("click", () => openBatch(batch.name));
      return made("li", {}, made("strong", { textContent: batch.name }), bar, made("span", { className: "muted small", textContent: progressOf(batch) }), go);
    }),
  );
}

function drawProgress() {
  const batch = batches.find(({ name }) => name === batchName());
  place("batch-progress").textContent = batch ? progressOf(batch) : "";
}

// The lines of a batch that nobody has checked, the doubtful ones first, as cards.
async function openBatch(name) {
  place("batch").value = name;
  const query = new URLSearchParams({ batch: name, state: "unchecked", order: "doubtful", most: 50 });
  const found = await guarded(() => ask(`api/samples?${query}`));
  for (const sample of found?.samples ?? []) await openSample(sample);
  drawProgress();
}

async function pictureOf(sample) {
  return await (await ask(`api/samples/${sample.id}/image`, { raw: true })).blob();
}

async function openSample(sample) {
  if (isOpen(sample.id)) return null;
  return await guarded(async () => addKept(await pictureOf(sample), sample));
}

function row(sample) {
  const image = made("img", { alt: "", loading: "lazy" });
  new IntersectionObserver((seen, observer) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    pictureOf(sample).then((file) => (image.src = URL.createObjectURL(file)), () => {});  // gone meanwhile: so will the row
  }).observe(image);
  const state = sample.checked ? say("checked") : say("unchecked", { percent: percent(sample.confidence ?? 0) });
  const about = [sample.batch, sample.name, when(sample.created)].filter(Boolean).join(" · ");
  const text = sample.text || say("no_text");
  const open = made("button", { type: "button", textContent: say("reopen") });
  open.setAttribute("aria-label", `${say("reopen")}: ${text}`);
  open.addEventListener("click", async () => {
    const card = await openSample(sample);
    card?.root.scrollIntoView({ block: "center" });
  });
  const remove = made("button", { type: "button", className: "quiet", textContent: say("delete") });
  remove.setAttribute("aria-label", `${say("delete")}: ${text}`);
  remove.addEventListener("click", () => forget(sample));
  return made(
    "li",
    { className: sample.checked ? "checked" : "" },
    made("div", { className: "thumb" }, image),
    made("div", {}, made("p", { className: sample.text ? "" : "muted", textContent: text }), made("p", { className: "muted small", textContent: `${state} · ${about}` })),
    made("p", { className: "row" }, open, remove),
  );
}

async function forget(sample) {
  const done = await guarded(() => ask(`api/samples/${sample.id}`, { method: "DELETE" }));
  if (!done) return;
  changed();
  notice(say("deleted", { text: sample.text }), {
    word: "undo",
    action: async () => {
      await guarded(() => ask(`api/samples/${sample.id}/restore`, { method: "POST" }));
      changed();
    },
  });
  place("kept-title").focus();
}

const changed = () => document.dispatchEvent(new Event("kept-changed"));

async function download() {
  const query = asked();
  query.delete("order");
  const format = place("format").value;
  query.set("format", format);
  await guarded(async () => {
    const answer = await ask(`api/samples/export?${query}`, { raw: true });
    const name = decodeURIComponent(answer.headers.get("content-disposition").split("''")[1]);
    const link = made("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
}

function search() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    samples = [];
    await guarded(() => load(MOST));
    draw();
  }, PAUSE);
}

form.addEventListener("input", search);
form.addEventListener("submit", (event) => event.preventDefault());
place("kept-more").addEventListener("click", async () => {
  await guarded(() => load(MOST, samples.length));
  draw();
});
place("download").addEventListener("click", download);
place("kept-unlock").addEventListener("click", () => changed());
place("batch").addEventListener("input", drawProgress);
document.addEventListener("spoken", draw);
