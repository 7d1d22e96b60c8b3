// Requests to the service: errors as sentences, the token when it is asked for, patience when it is busy.

import { say } from "./words.js";

const KEY = "netchu-token";

export class Failure extends Error {}

export async function ask(path, { method = "GET", body, patient = () => {} } = {}) {
  for (;;) {
    const headers = {};
    const token = sessionStorage.getItem(KEY);
    if (token && method !== "GET") headers.authorization = `Bearer ${token}`;
    if (body !== undefined && !(body instanceof FormData)) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method, headers, body: body instanceof FormData ? body : JSON.stringify(body) });
    } catch {
      throw new Failure(say("unreachable"));
    }
    if (answer.status === 401 && (await askToken())) continue;
    if (answer.status === 503) {
      const seconds = Number(answer.headers.get("retry-after") ?? 2);
      patient(seconds);
      await new Promise((done) => setTimeout(done, 1000 * seconds));
      continue;
    }
    const content = await answer.json().catch(() => ({ error: `${answer.status}` }));
    if (!answer.ok) throw new Failure(content.error ?? `${answer.status}`);
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
    if (!dialog.open) dialog.showModal();
    input.focus();
  });
}

let timer;

export function notice(text) {
  const place = document.getElementById("notice");
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  place.replaceChildren(paragraph);
  clearTimeout(timer);
  timer = setTimeout(() => place.replaceChildren(), 6000);
}

// What was said in the other language.
document.addEventListener("spoken", () => document.getElementById("notice").replaceChildren());
