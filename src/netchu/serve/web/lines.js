// Reading and correcting: one card a line. The reading is shaded in the field where it is corrected.

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

export function add(files, wholePages) {
  for (const file of files) {
    waiting.push(new Card(file, file.name, { wholePage: wholePages }));
  }
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
  const done = cards.length > 0 && cards.every((card) => card.saved || card.failed);
  document.getElementById("left").textContent = left ? say("left", { count: left }) : done ? say("all_done") : "";
  document.body.classList.toggle("busy", cards.length > 0);
  const keys = document.getElementById("keys");
  keys.hidden = !cards.length;
  keys.textContent = say("keys");
}

function pictureOf(url) {
  const [head, data] = url.split(",");
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5).split(";")[0] });
}

class Card {
  // `number`: of the line on the page of that name; 0 for an image of its own.
  constructor(file, fileName, { wholePage = false, number = 0 } = {}) {
    Object.assign(this, { file, fileName, wholePage, number, reading: null, saved: "", failed: "", at: -1 });
    this.root = template.content.firstElementChild.cloneNode(true);
    this.part = (selector) => this.root.querySelector(selector);
    this.input = this.part("textarea");
    this.shade = this.part(".shade");
    this.part("img").src = URL.createObjectURL(file);
    this.input.addEventListener("input", () => this.drawText());
    this.input.addEventListener("keydown", (event) => this.key(event));
    for (const kind of ["keyup", "click", "focus"]) this.input.addEventListener(kind, () => this.follow());
    this.part(".save").addEventListener("click", () => this.save());
    this.part(".doubt").addEventListener("click", () => this.nextDoubt());
    this.part(".remove").addEventListener("click", () => this.remove());
    list.append(this.root);
    cards.push(this);
    this.draw();
  }

  get name() {
    const name = this.fileName || say("pasted");
    return this.number ? say("line_of_page", { name, number: this.number }) : name;
  }

  async read() {
    const form = new FormData();
    form.append("images", this.file, this.name);
    try {
      const answer = await ask(`api/recognise${this.wholePage ? "?page=true" : ""}`, {
        method: "POST",
        body: form,
        patient: (seconds) => this.state(say("busy", { seconds })),
      });
      if (this.wholePage) this.split(answer.lines);
      else this.show(answer.lines[0]);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.failed = error.message;
    }
    this.draw();
    count();
  }

  // A page becomes a card for each of its lines, in its own place.
  split(lines) {
    lines.forEach((line, i) => {
      const card = new Card(pictureOf(line.image), this.fileName, { number: i + 1 });
      this.root.before(card.root);
      card.show(line);
      card.draw();
    });
    this.remove();
  }

  show(reading) {
    this.reading = reading;
    this.input.value = reading.text;
    if (!document.activeElement || document.activeElement === document.body) this.input.focus({ preventScroll: true });
  }

  state(text) {
    this.part(".state").textContent = text;
  }

  draw() {
    this.root.classList.toggle("saved", Boolean(this.saved));
    this.part(".name").textContent = this.name;
    this.part(".state").classList.toggle("failed", Boolean(this.failed));
    this.state(this.saved || this.failed || (this.reading ? "" : say("waiting")));
    this.part(".work").hidden = !this.reading || Boolean(this.saved);
    this.input.setAttribute("aria-label", say("field", { name: this.name }));
    const button = (selector, word, key) => {
      const kbd = Object.assign(document.createElement("kbd"), { textContent: key });
      this.part(selector).replaceChildren(say(word), ...(key ? [kbd] : []));
    };
    button(".save", "save", "Enter");
    button(".doubt", "next_doubt", "F2");
    button(".remove", "remove", "");
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
    this.part(".sure").classList.toggle("safe", safe);
    this.part(".sure").textContent = say(safe ? "safe" : doubtful ? "doubts" : "sure", values);
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

  key(event) {
    if (event.isComposing) return;
    const digit = event.altKey && /^Digit[1-9]$/.test(event.code) ? Number(event.code.at(-1)) : 0;
    const move = event.ctrlKey && { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") this.save();
    else if (event.key === "Escape") this.put(this.reading.text);
    else if (event.key === "F2") this.nextDoubt();
    else if (digit) this.root.querySelectorAll(".characters button")[digit - 1]?.click();
    else if (move) this.neighbour(move)?.input.focus();
    else return;
    event.preventDefault();
  }

  // The nearest unsaved card before or behind this one.
  neighbour(step) {
    let root = this.root;
    while ((root = step > 0 ? root.nextElementSibling : root.previousElementSibling)) {
      const card = cards.find((c) => c.root === root);
      if (card?.reading && !card.saved) return card;
    }
    return null;
  }

  // Nothing can be typed until the answer is there: it would be lost when the card closes.
  async save() {
    if (this.input.readOnly) return;
    const text = this.input.value.normalize("NFC").trim();
    const form = new FormData();
    form.append("image", this.file, "line");
    form.append("text", text);
    form.append("read_text", this.reading.text);
    form.append("version", this.reading.version);
    this.part(".save").disabled = this.input.readOnly = true;
    try {
      await ask("api/corrections", { method: "POST", body: form });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      notice(error.message);
      return;
    } finally {
      this.part(".save").disabled = this.input.readOnly = false;
    }
    const following = this.neighbour(1) ?? this.neighbour(-1);
    this.saved = text;
    this.draw();
    count();
    notice(say("saved", { text }));
    following?.input.focus();
    following?.root.scrollIntoView({ block: "nearest" });
    whenSaved();
  }

  remove() {
    const following = this.neighbour(1) ?? this.neighbour(-1);
    cards.splice(cards.indexOf(this), 1);
    this.root.remove();
    if (this.reading) following?.input.focus();
    count();
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
