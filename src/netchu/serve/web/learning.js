// Statistics, retraining with live progress and curves, versions.

import { chart } from "./charts.js";
import { ask, confirm, guarded, made, notice } from "./server.js";
import { number, percent, say, when } from "./words.js";

const SECONDS = 1; // between two looks at a running job
const ENOUGH = 5; // corrections

const place = (id) => document.getElementById(id);
let statistics = null;
let job = null;
let versions = [];
let timer;

export async function refresh() {
  clearTimeout(timer);
  await guarded(async () => {
    let jobs;
    [statistics, jobs, versions] = await Promise.all(["api/statistics", "api/retrain", "api/models"].map((p) => ask(p)));
    job = jobs.length ? await ask(`api/retrain/${jobs[0].id}`) : null;
    draw();
  });
  if (job?.state === "running") timer = setTimeout(refresh, 1000 * SECONDS);
}

async function act(path, body, method = "POST") {
  await guarded(() => ask(path, { method, body }));
  await refresh();
}

function draw() {
  if (!statistics) return;
  drawStatistics();
  drawJob();
  drawVersions();
}

function drawStatistics() {
  const read = Object.values(statistics.by_version);
  const lines = read.reduce((sum, scores) => sum + scores.lines, 0);
  const right = read.reduce((sum, scores) => sum + scores.lines * scores.exact, 0);
  const figures = [
    ["corrections", String(statistics.corrections)],
    ["read_right", lines ? percent(right / lines) : "–"],
    ["held_out", String(statistics.held_out)],
  ];
  place("figures").replaceChildren(
    ...figures.map(([word, value]) =>
      made("div", {}, made("dt", { textContent: say(word) }), made("dd", { textContent: value, id: `figure-${word}` })),
    ),
  );
  const hard = statistics.hardest.map(({ character, right: good, seen }) =>
    made("li", {}, made("b", { textContent: character === " " ? "␣" : character }), ` ${good}/${seen}`),
  );
  place("hardest").replaceChildren(
    ...(hard.length
      ? [made("p", { className: "muted small", textContent: say("hardest") }), made("ul", { className: "hard" }, ...hard)]
      : []),
  );
}

function drawJob() {
  const busy = job?.state === "running" || job?.state === "interrupted";
  const enough = statistics.corrections >= ENOUGH;
  place("retrain").hidden = busy;
  place("retrain").disabled = !enough;
  const hint = enough ? "retrain_hint" : "too_few";
  place("retrain-hint").textContent = say(hint, { least: statistics.least_held_out });
  if (!job) {
    place("job").replaceChildren();
    return;
  }
  const phase = job.done === 0 ? "starting" : job.done >= 1 ? "comparing" : "running";
  const state = job.state === "running" ? phase : job.state;
  const parts = [
    made(
      "p",
      { className: "job-top" },
      made("strong", { textContent: say("job", { id: job.id }) }),
      made("span", { className: "muted", id: "job-state", textContent: say(state, { percent: percent(job.done) }) }),
    ),
  ];
  if (busy) {
    const bar = made("progress", { max: 1 });
    if (state !== "starting") bar.value = job.done;
    bar.setAttribute("aria-label", say("job", { id: job.id }));
    parts.push(bar);
  }
  if (job.state === "failed") parts.push(made("p", { className: "worse small", textContent: job.message }));
  if (job.report) parts.push(...outcome());
  parts.push(...curves());
  if (busy) {
    const buttons = made("p", { className: "row" });
    if (job.state === "interrupted")
      buttons.append(button(say("continue"), () => act(`api/retrain/${job.id}/continue`), "primary"));
    buttons.append(button(say("cancel"), () => act(`api/retrain/${job.id}/cancel`)));
    parts.push(buttons);
  }
  renew(place("job"), parts);
}

// Draw a place anew only where something has changed, row by row: a button that is being pressed stays.
function renew(parent, parts) {
  const focused = parent.contains(document.activeElement);
  parts.forEach((part, i) => {
    const now = parent.children[i];
    if (!now) parent.append(part);
    else if (now.outerHTML !== part.outerHTML) now.replaceWith(part);
  });
  while (parent.children.length > parts.length) parent.lastElementChild.remove();
  if (focused && !parent.contains(document.activeElement)) parent.querySelector("button")?.focus();
}

function outcome() {
  const { before, after, better, promoted = better, enough = true, lines, left_out: out } = job.report; // older jobs
  const became = promoted ? "promoted" : !better ? "not_promoted" : enough ? "not_compared" : "not_enough";
  const sources = Object.entries(after).filter(([name, scores]) => name !== "all" && scores.accepted !== undefined);
  const values = { before: percent(before.all.cer, 1), after: percent(after.all.cer, 1), lines: lines.held_out };
  return [
    made("p", {
      className: promoted ? "better" : better ? "" : "worse",
      textContent: say(became, { version: job.version, base: job.base, lines: lines.held_out, least: job.report.least }),
    }),
    made("p", { className: "small", textContent: say("result", values) }),
    ...sources.map(([name, { accepted, lines: count }]) =>
      made("p", {
        className: "muted small",
        textContent:
          accepted === null
            ? say("accepts_none", { source: sourceName(name) })
            : say("accepts", { source: sourceName(name), share: percent(accepted), lines: count }),
      }),
    ),
    ...(out.lines ? [made("p", { className: "small", textContent: say("left_out", out) })] : []),
  ];
}

const sourceName = (name) => (name === "corrections" ? say("source_corrections") : name);

function curves() {
  const pictures = [];
  if (job.loss.length > 1) pictures.push(picture("loss_chart", job.loss, number));
  if (job.scores.length)
    pictures.push(
      picture(
        "cer_chart",
        job.scores.map(({ epoch, cer }) => [epoch, 100 * cer]),
        number,
        true,
      ),
    );
  return pictures;
}

function picture(word, points, format, dots = false) {
  const label = say("chart_now", { title: say(word), value: format(points.at(-1)[1]) });
  return made("figure", {}, chart(points, { label, format, dots }), made("figcaption", { textContent: say(word) }));
}

function button(text, action, className = "") {
  const element = made("button", { type: "button", className, textContent: text });
  element.addEventListener("click", action);
  return element;
}

function drawVersions() {
  const active = versions.find((version) => version.active)?.id;
  renew(
    place("versions"),
    versions.map((version) => {
      const { before, after, released } = version;
      const isWorse = after && after.cer > before.cer;
      const about = after
        ? say("from_job", {
            job: version.job,
            parent: version.parent,
            before: percent(before.cer, 1),
            after: percent(after.cer, 1),
          })
        : [version.note, released && say("measured", { cer: percent(released.cer, 1), lines: released.lines })]
            .filter(Boolean)
            .join(": ");
      const parts = [
        version.members > 1 && say("members", { count: version.members }),
        version.language && say("with_language"),
        version.places && say("with_places"),
      ].filter(Boolean);
      const promote = button(say(version.id < active ? "roll_back" : "use"), async () => {
        const values = { id: version.id, before: percent(before?.cer ?? 0, 1), after: percent(after?.cer ?? 0, 1) };
        if (isWorse && version.id > active && !(await confirm(say("really_worse", values)))) return;
        await act(`api/models/${version.id}/promote`);
        if (versions.find((v) => v.id === version.id)?.active) notice(say("now_active", { id: version.id }));
      });
      promote.setAttribute("aria-label", `${promote.textContent}: ${say("version", { id: version.id })}`);
      const name = made("input", { type: "text", maxLength: 80, placeholder: say("name_it"), autocomplete: "off" });
      name.setAttribute("value", version.name);
      name.setAttribute("aria-label", `${say("name_it")}: ${say("version", { id: version.id })}`);
      name.addEventListener("change", () => act(`api/models/${version.id}`, { name: name.value }, "PUT"));
      return made(
        "li",
        {},
        made(
          "div",
          {},
          made("p", { className: "row" }, made("strong", { textContent: say("version", { id: version.id }) }), name),
          made("p", { className: isWorse ? "worse small" : "muted small", textContent: about }),
          ...(after && !version.enough ? [made("p", { className: "muted small", textContent: say("few_lines") })] : []),
          ...(parts.length ? [made("p", { className: "muted small", textContent: parts.join(", ") })] : []),
          made("p", { className: "muted small", textContent: when(version.created) }),
        ),
        version.active ? made("span", { className: "badge", textContent: say("active") }) : promote,
      );
    }),
  );
}

place("retrain").addEventListener("click", () => act("api/retrain", {}));
document.addEventListener("spoken", draw);
