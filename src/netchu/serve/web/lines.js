// Reading and correcting: one card a line. The reading is shaded in the field where it is corrected.

import { Sheet } from "./pages.js";
import { ask, Failure, notice } from "./server.js";
import { percent, say } from "./words.js";

const AT_ONCE = 3; // requests
const DOUBT = 0.9; // a character under this is worth a look

const list = document.getElementById("lines");
const template = document.getElementById("line-template");
const cards = [];
const waiting = [];
let open = 0;
let whenSaved = () => {};

export function onSaved(action) {
  whenSaved = action;
}

// New files; with `batch` their lines are kept under that name.
export function add(files, batch = "") {
  for (const file of files) queue(new Card(file, file.name, { batch }));
}

// A kept line to look at again.
export function addKept(file, sample) {
  const card = new Card(file, sample.name, { batch: sample.batch, sample: sample.id, single: true });
  if (sample.checked) card.typed = sample.text;
  queue(card);
  return card;
}

export const isOpen = (sample) => cards.some((card) => card.sample === sample && !card.saved);

function queue(card) {
  waiting.push(card);
  next();
}

function next() {
  while (open < AT_ONCE && waiting.length) {
    open += 1;
    const card = waiting.shift();
    card.read().finally(() => {
      open -= 1;
      next();
    });
  }
  count();
}

function count() {
  const left = cards.filter((card) => card.reading && !card.saved).length;
  const done = cards.length > 0 && cards.every((card) => card.saved);
  document.getElementById("left").textContent = left ? say("left", { count: left }) : done ? say("all_done") : "";
  document.body.classList.toggle("busy", cards.length > 0);
  const keys = document.getElementById("keys");
  keys.hidden = !cards.length;
  keys.textContent = say("keys");
}

function blobOf(url) {
  const [head, data] = url.split(",");
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5).split(";")[0] });
}

export class Card {
  // `number`: of the line on its page, 0 for an image of its own; `sheet`: that page; `sample`: id of the kept line;
  // `single`: the image is one line, whatever its shape.
  constructor(file, fileName, { number = 0, sheet = null, batch = "", sample = "", single = false } = {}) {
    Object.assign(this, { file, fileName, number, sheet, batch, sample, single });
    Object.assign(this, { reading: null, saved: "", failed: null, at: -1, typed: "" });
    this.root = template.content.firstElementChild.cloneNode(true);
    this.part = (selector) => this.root.querySelector(selector);
    this.input = this.part("textarea");
    this.shade = this.part(".shade");
    this.picture(file);
    this.input.addEventListener("input", () => this.drawText());
    this.input.addEventListener("keydown", (event) => this.key(event));
    for (const kind of ["keyup", "click", "focus"]) this.input.addEventListener(kind, () => this.follow());
    this.root.addEventListener("focusin", () => this.sheet?.show(this));
    const actions = { save: "save", doubt: "nextDoubt", remove: "remove", retry: "retry", discard: "discard", reopen: "reopen" };
    for (const [name, action] of Object.entries(actions))
      this.part(`.${name}`).addEventListener("click", () => this[action]());
    list.append(this.root);
    cards.push(this);
    this.draw();
  }

  picture(file) {
    const image = this.part("img");
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.onload = () => {  // what scrolls on a narrow screen is reached by the keyboard
      const frame = image.parentElement;
      if (frame.scrollWidth > frame.clientWidth) frame.tabIndex = 0;
    };
  }

  get name() {
    const name = this.fileName || say("pasted");
    return this.number ? say("line_of_page", { name, number: this.number }) : name;
  }

  // What the service says of a file; boxes: corners of the lines that are wanted of it.
  async request(file, { single = false, boxes = null } = {}) {
    const form = new FormData();
    form.append("images", file, this.fileName || "image");
    if (this.batch) form.append("batch", this.batch);
    if (boxes) {
      const { number, id } = this.sheet.page;
      form.append("boxes", JSON.stringify(boxes));
      form.append("sheet", JSON.stringify({ number, id }));
    }
    const path = this.batch ? "api/samples" : "api/recognise";
    return await ask(`${path}?page=${single ? "false" : "auto"}`, {
      method: "POST",
      body: form,
      patient: (seconds) => this.state(say("busy", { seconds })),
    });
  }

  async read() {
    await this.attempt(async () => {
      const answer = await this.request(this.file, { single: this.single });
      if (answer.pages.length) this.split(answer);
      else this.show(answer.lines[0]);
    });
  }

  async attempt(action) {
    this.failed = null;
    try {
      await action();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.failed = error;
    }
    this.draw();
    count();
    if (this.batch) whenSaved();
  }

  retry() {
    this.failed = null;
    this.draw();
    if (this.box) this.reread();
    else queue(this);
  }

  // A page becomes its picture with the boxes, and a card for each of its lines.
  split({ pages, lines }) {
    pages.forEach((page, i) => {
      const picture = page.image ? blobOf(page.image) : this.file;
      const sheet = new Sheet(picture, page, pages.length > 1, {
        made: (box) => this.cardOf(sheet, box),
      });
      this.root.before(sheet.root);
      for (const line of lines.filter((each) => each.page === i)) {
        const card = this.cardOf(sheet, sheet.add(line.corners));
        this.root.before(card.root);
        card.placed = card.box.corners;
        card.file = blobOf(line.image);
        card.picture(card.file);
        card.show(line);
        card.draw();
      }
      sheet.draw();
    });
    this.leave();
    const first = cards.find((card) => card.reading && !card.saved);
    if (document.activeElement === document.body) first?.enter();
  }

  cardOf(sheet, box) {
    const card = new Card(sheet.picture, this.fileName, { sheet, batch: this.batch, number: 1 });
    card.box = box;
    box.card = card;
    return card;
  }

  // The box was drawn or moved: what stands in it now?
  async reread() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.saved = "";
    this.state(say("waiting"));
    await this.inTurn(async () => {
      if (turn === this.turn) await this.attempt(() => this.readBox()); // else it was moved again or deleted meanwhile
    });
  }

  // One request at a time, since each may keep a line, which the next one deletes.
  inTurn(action) {
    const answered = (this.answered ?? Promise.resolve()).then(action);
    this.answered = answered.catch(() => {}); // who asked hears of it
    return answered;
  }

  async readBox() {
    const { corners } = this.box;
    const [line] = (await this.request(this.sheet.picture, { boxes: [corners] })).lines;
    this.placed = corners;
    this.file = blobOf(line.image);
    this.picture(this.file);
    if (this.sample !== line.id) await this.forget();
    this.sample = line.id ?? "";
    this.show(line);
  }

  // The line that stood in the box is kept no more, unless it is also on another card, as of a page that came twice.
  async forget() {
    if (!this.sample || cards.some((card) => card !== this && card.sample === this.sample)) return;
    await ask(`api/samples/${this.sample}`, { method: "DELETE" }).catch((error) => {
      if (error.code !== "no_sample") throw error; // else somebody has deleted it already
    });
  }

  // The box is there again: its line is kept as it was, and read where the box was moved before its end.
  async recall() {
    if (this.sample)
      await this.inTurn(() => this.attempt(() => ask(`api/samples/${this.sample}/restore`, { method: "POST" })));
    if (this.placed !== this.box.corners) await this.reread();
  }

  show(reading) {
    if (reading.error) {
      this.failed = new Failure(reading.error, reading.code);
      return;
    }
    this.failed = null;
    this.reading = reading;
    this.sample = reading.id ?? this.sample;
    this.input.value = this.typed || reading.text;
    if (reading.checked && !this.single) this.saved = reading.kept_text;
    else if (document.activeElement === document.body && !this.sheet) this.enter();
  }

  state(text) {
    this.part(".state").textContent = text;
  }

  draw() {
    this.root.classList.toggle("saved", Boolean(this.saved));
    this.root.classList.toggle("of-page", Boolean(this.sheet));
    this.part(".name").textContent = this.name;
    this.part(".number").textContent = this.sheet ? this.number : "";
    this.part(".number").hidden = !this.sheet;
    this.part(".state").classList.toggle("failed", Boolean(this.failed));
    this.state(this.saved || this.failed?.said() || (this.reading ? "" : say("waiting")));
    this.part(".work").hidden = !this.reading || Boolean(this.saved) || Boolean(this.failed);
    this.part(".repair").hidden = !this.failed;
    this.part(".reopen").hidden = !this.saved;
    this.part(".sure").hidden = !this.reading || Boolean(this.failed);
    this.input.setAttribute("aria-label", say("field", { name: this.name }));
    const button = (selector, word, key) => {
      const kbd = Object.assign(document.createElement("kbd"), { textContent: key });
      this.part(selector).replaceChildren(say(word), ...(key ? [kbd] : []));
    };
    button(".save", "save", "Enter");
    button(".doubt", "next_doubt", "F2");
    button(".remove", "remove", "");
    button(".retry", "retry", "");
    button(".discard", "drop_card", "");
    button(".reopen", "reopen", "");
    this.part(".reopen").setAttribute("aria-label", `${say("reopen")}: ${this.name}`);
    if (this.reading) this.drawText();
  }

  // The characters of the field, each with the character of the reading that it still is, or none where it was typed.
  characters() {
    const now = Array.from(this.input.value.normalize("NFC"));
    const then = this.reading.characters;
    let head = 0;
    while (head < now.length && head < then.length && now[head] === then[head].text) head += 1;
    let tail = 0;
    while (tail < Math.min(now.length, then.length) - head && now.at(-1 - tail) === then.at(-1 - tail).text) tail += 1;
    const replaced = now.length === then.length;
    return now.map((text, i) => {
      if (i < head) return then[i];
      if (i >= now.length - tail) return then[i - now.length + then.length];
      if (replaced && then[i].text === text) return then[i];
      return { text, confidence: 1, alternatives: [] };
    });
  }

  doubts() {
    return this.characters().flatMap((c, i) => (c.confidence < DOUBT ? [i] : []));
  }

  drawText() {
    const characters = this.characters();
    this.shade.replaceChildren(
      ...characters.map((character, i) => {
        const span = document.createElement("span");
        span.textContent = character.text;
        span.style.setProperty("--unsure", Math.min(0.85, 1.4 * (1 - character.confidence)).toFixed(2));
        span.classList.toggle("marked", character.confidence < DOUBT);
        span.classList.toggle("current", i === this.at);
        return span;
      }),
      "\u200b",
    );
    const doubtful = this.doubts().length;
    const values = { percent: percent(this.reading.confidence), count: doubtful };
    const safe = Boolean(this.reading.accept) && this.input.value === this.reading.text;
    const empty = !this.reading.text && !this.input.value;
    const word = empty ? (safe ? "blank" : "unread") : safe ? "safe" : doubtful ? "doubts" : "sure";
    this.part(".sure").classList.toggle("safe", safe);
    this.part(".sure").classList.toggle("unread", empty && !safe);
    this.part(".sure").textContent = say(word, values);
    this.part(".doubt").disabled = !doubtful;
    this.drawCharacter(characters);
    this.drawOthers();
  }

  // What else the character under the cursor may be.
  drawCharacter(characters) {
    const place = this.part(".characters");
    const character = characters[this.at];
    if (!character?.alternatives.length || character.confidence >= 0.995) {
      place.replaceChildren();
      return;
    }
    const title = Object.assign(document.createElement("span"), {
      className: "label",
      textContent: say("instead", { character: character.text === " " ? "␣" : character.text }),
    });
    place.setAttribute("aria-label", title.textContent);
    place.replaceChildren(
      title,
      ...character.alternatives.map((guess, i) => {
        const shown = guess.text === "" ? say("nothing") : guess.text === " " ? "␣" : guess.text;
        return chip([shown, small(percent(guess.confidence)), key(`Alt+${i + 1}`)], () => this.replace(guess.text));
      }),
    );
  }

  drawOthers() {
    const place = this.part(".others");
    const untouched = this.input.value === this.reading.text;
    const others = untouched ? this.reading.alternatives.filter((guess) => guess.text) : [];
    const title = Object.assign(document.createElement("span"), { className: "label", textContent: say("others") });
    place.setAttribute("aria-label", title.textContent);
    place.replaceChildren(
      ...(others.length ? [title] : []),
      ...others.slice(0, 3).map((guess) => chip(differing(this.reading.text, guess.text), () => this.put(guess.text))),
    );
  }

  put(text, at = text.length) {
    this.input.value = text;
    this.input.focus();
    this.input.setSelectionRange(at, at);
    this.follow();
  }

  replace(text) {
    const characters = Array.from(this.input.value.normalize("NFC"));
    const before = characters.slice(0, this.at).join("") + text;
    this.put(before + characters.slice(this.at + 1).join(""), before.length);
  }

  // The character that is selected or stands before the cursor.
  follow() {
    const value = this.input.value;
    const { selectionStart: start, selectionEnd: end } = this.input;
    const before = Array.from(value.slice(0, start).normalize("NFC")).length;
    this.at = end > start ? before : before - 1;
    this.drawText();
  }

  // Into the field, the cursor behind the character that is least sure: its alternatives are at hand at once.
  enter() {
    this.input.focus({ preventScroll: true });
    const characters = this.characters();
    const doubts = this.doubts();
    const at = doubts.sort((a, b) => characters[a].confidence - characters[b].confidence)[0] ?? characters.length - 1;
    const place = characters.slice(0, at + 1).map((c) => c.text).join("").length;
    this.input.value = characters.map((c) => c.text).join("");
    this.input.setSelectionRange(place, place);
    this.follow();
    this.root.scrollIntoView({ block: "nearest" });
  }

  nextDoubt() {
    const doubts = this.doubts();
    if (!doubts.length) return;
    const at = doubts.find((i) => i > this.at) ?? doubts[0];
    const characters = Array.from(this.input.value.normalize("NFC"));
    this.input.value = characters.join("");
    const start = characters.slice(0, at).join("").length;
    this.input.focus();
    this.input.setSelectionRange(start, start + characters[at].length);
    this.follow();
  }

  // Esc shows the reading; once more, and what was typed is back.
  swap() {
    const now = this.input.value;
    if (now !== this.reading.text) {
      this.typed = now;
      this.put(this.reading.text);
    } else if (this.typed) this.put(this.typed);
  }

  key(event) {
    if (event.isComposing) return;
    const digit = event.altKey && /^Digit[1-9]$/.test(event.code) ? Number(event.code.at(-1)) : 0;
    const move = event.ctrlKey && { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") this.save();
    else if (event.key === "Escape") this.swap();
    else if (event.key === "F2") this.nextDoubt();
    else if (digit) this.root.querySelectorAll(".characters button")[digit - 1]?.click();
    else if (move) this.neighbour(move)?.enter();
    else return;
    event.preventDefault();
  }

  // The nearest unsaved card before or behind this one.
  neighbour(step) {
    let root = this.root;
    while ((root = step > 0 ? root.nextElementSibling : root.previousElementSibling)) {
      const card = cards.find((c) => c.root === root);
      if (card?.reading && !card.saved && !card.failed) return card;
    }
    return null;
  }

  // Nothing can be typed until the answer is there: it would be lost when the card closes.
  async save() {
    if (this.input.readOnly) return;
    const text = this.input.value.normalize("NFC").trim();
    const form = new FormData();
    form.append("image", this.file, this.fileName || "image");
    form.append("text", text);
    form.append("read_text", this.reading.text);
    form.append("version", this.reading.version);
    if (this.batch) form.append("batch", this.batch);
    this.part(".save").disabled = this.input.readOnly = true;
    try {
      await this.inTurn(async () => (this.sample = (await ask("api/corrections", { method: "POST", body: form })).id));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      notice(error.said());
      return;
    } finally {
      this.part(".save").disabled = this.input.readOnly = false;
    }
    const following = this.neighbour(1) ?? this.neighbour(-1);
    this.saved = text;
    this.draw();
    count();
    notice(say("saved", { text }));
    if (following) following.enter();
    else this.part(".reopen").focus();
    whenSaved();
  }

  reopen() {
    this.typed = this.input.value = this.saved;
    this.saved = "";
    this.draw();
    count();
    this.enter();
  }

  leave() {
    cards.splice(cards.indexOf(this), 1);
    this.root.remove();
  }

  discard() {
    if (this.box) this.deleteBox();
    else this.remove();
  }

  // Take the card away, with its box; the notice brings it back. A kept line stays as it is. Returns what brings it back.
  remove(word = "removed", whenBack = () => {}) {
    const following = this.neighbour(1) ?? this.neighbour(-1);
    const [before, place] = [this.root.nextSibling, cards.indexOf(this)];
    this.leave();
    this.sheet?.remove(this.box);
    if (this.reading) following?.enter();
    count();
    const putBack = () => {
      if (cards.includes(this)) return;
      list.insertBefore(this.root, before?.isConnected ? before : null);
      cards.splice(place, 0, this);
      this.sheet?.put(this.box);
      count();
      if (this.reading && !this.failed) this.enter();
    };
    notice(say(word, { name: this.name }), {
      word: "undo",
      action: () => {
        putBack();
        whenBack();
      },
    });
    return putBack;
  }

  // Where there is no line, none is kept, whatever of it is still being read.
  deleteBox() {
    const putBack = this.remove("box_deleted", () => this.recall());
    this.turn = (this.turn ?? 0) + 1;
    return this.inTurn(async () => {
      try {
        await this.forget();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        putBack();
        notice(error.said());
      }
      whenSaved();
    });
  }
}

function chip(content, action) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(...content);
  button.addEventListener("click", action);
  return button;
}

const small = (text) => Object.assign(document.createElement("span"), { className: "share", textContent: text });
const key = (text) => Object.assign(document.createElement("kbd"), { textContent: text });

// The other text, with what differs marked.
function differing(text, other) {
  const [a, b] = [Array.from(text), Array.from(other)];
  let head = 0;
  while (head < Math.min(a.length, b.length) && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const mark = Object.assign(document.createElement("mark"), { textContent: b.slice(head, b.length - tail).join("") || "·" });
  const line = document.createElement("span");
  line.append(b.slice(0, head).join(""), mark, b.slice(b.length - tail).join(""));
  return [line];
}

// A reload would drop what was corrected and not saved.
window.addEventListener("beforeunload", (event) => {
  if (cards.some((card) => card.reading && !card.saved && card.input.value !== card.reading.text)) event.preventDefault();
});

document.addEventListener("spoken", () => {
  for (const card of cards) card.draw();
  count();
});
