// Requests to the service: errors as sentences, the token when it is asked for, patience when it is busy. And what all
// parts of the page need: elements, questions, notices.

import { has, say } from "./words.js";

const KEY = "netchu-token";

export const hasToken = () => Boolean(sessionStorage.getItem(KEY));

// What went wrong; `code` finds the sentence in the page's language, else the service's own is shown.
export class Failure extends Error {
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }

  said() {
    return has(`error_${this.code}`) ? say(`error_${this.code}`) : this.message;
  }
}

// The answer's JSON, or with `raw` the answer itself.
export async function ask(path, { method = "GET", body, raw = false, patient = () => {} } = {}) {
  for (;;) {
    const headers = {};
    const token = sessionStorage.getItem(KEY);
    if (token) headers.authorization = `Bearer ${token}`;
    if (body !== undefined && !(body instanceof FormData)) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method, headers, body: body instanceof FormData ? body : JSON.stringify(body) });
    } catch {
      throw new Failure("", "unreachable");
    }
    if (answer.status === 401 && (await askToken())) continue;
    if (answer.status === 503) {
      const seconds = Number(answer.headers.get("retry-after") ?? 2);
      patient(seconds);
      await new Promise((done) => setTimeout(done, 1000 * seconds));
      continue;
    }
    if (raw && answer.ok) return answer;
    const content = await answer.json().catch(() => ({ error: `${answer.status}` }));
    if (!answer.ok) throw new Failure(content.error ?? `${answer.status}`, content.code);
    return content;
  }
}

// Show the dialog; true when a token was given.
export function askToken() {
  const dialog = document.getElementById("token-dialog");
  const input = document.getElementById("token-input");
  input.value = sessionStorage.getItem(KEY) ?? "";
  return new Promise((done) => {
    dialog.addEventListener(
      "close",
      () => {
        const kept = dialog.returnValue === "keep";
        if (kept) sessionStorage.setItem(KEY, input.value.trim());
        done(kept);
      },
      { once: true },
    );
    dialog.returnValue = "";
    if (!dialog.open) dialog.showModal();
    input.focus();
  });
}

// Ask before something that is hard to see again; true for yes.
export function confirm(question) {
  const dialog = document.getElementById("confirm-dialog");
  document.getElementById("confirm-question").textContent = question;
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
    dialog.returnValue = "";
    dialog.showModal();
  });
}

// An element with its properties and children.
export function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// What the action gives; null where the service refused it, which is then said.
export async function guarded(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    notice(error.said());
    return null;
  }
}

let timer;

// A sentence for some seconds, perhaps with a way back: { word, action }.
export function notice(text, back = null) {
  const place = document.getElementById("notice");
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  if (back) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: say(back.word) });
    button.addEventListener("click", () => {
      place.replaceChildren();
      back.action();
    });
    paragraph.append(" ", button);
  }
  place.replaceChildren(paragraph);
  clearTimeout(timer);
  timer = setTimeout(() => place.replaceChildren(), back ? 12000 : 6000);
}

// What was said in the other language.
document.addEventListener("spoken", () => document.getElementById("notice").replaceChildren());
