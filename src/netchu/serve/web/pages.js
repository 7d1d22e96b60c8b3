// A photographed page with the boxes of its lines: numbered like the cards, moved, added and removed by mouse and keys.

import { say } from "./words.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const LEAST = 8; // pixels of the page that a box has at least, either way
const PAUSE = 600; // milliseconds without a key before a moved box is read again

const template = document.getElementById("sheet-template");
const sheets = [];

function element(name, attributes = {}) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const minus = ([a, b], [c, d]) => [a - c, b - d];
const middle = (corners) => [0, 1].map((i) => corners.reduce((sum, corner) => sum + corner[i], 0) / corners.length);
const upright = (left, top, right, bottom) => [[left, top], [right, top], [right, bottom], [left, bottom]];

// Unit vectors along the line and down.
function axes([start, end, , below]) {
  const unit = ([x, y]) => [x / (Math.hypot(x, y) || 1), y / (Math.hypot(x, y) || 1)];
  return [unit(minus(end, start)), unit(minus(below, start))];
}

// The box whose corner `k` is at a point, the opposite corner and the directions of its sides staying.
function stretched(corners, k, point) {
  const [along, down] = axes(corners);
  const fixed = corners[(k + 2) % 4];
  const [dx, dy] = minus(point, fixed);
  const det = along[0] * down[1] - along[1] * down[0] || 1;
  const a = (dx * down[1] - dy * down[0]) / det;
  const b = (along[0] * dy - along[1] * dx) / det;
  const [left, right] = k === 0 || k === 3 ? [Math.min(a, -LEAST), 0] : [0, Math.max(a, LEAST)];
  const [top, bottom] = k < 2 ? [Math.min(b, -LEAST), 0] : [0, Math.max(b, LEAST)];
  return upright(left, top, right, bottom).map(([u, v]) => [
    fixed[0] + u * along[0] + v * down[0],
    fixed[1] + u * along[1] + v * down[1],
  ]);
}

export class Sheet {
  // `page`: its name, number in its file and size; `made` makes the card of a new box.
  constructor(picture, page, isNumbered, { made }) {
    Object.assign(this, { picture, page, isNumbered, made, boxes: [], current: null });
    this.root = template.content.firstElementChild.cloneNode(true);
    this.svg = this.root.querySelector("svg");
    const [width, height] = page.size;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.root.querySelector("img").src = URL.createObjectURL(picture);
    this.root.querySelector(".photo").style.setProperty("--ratio", `${width} / ${height}`);
    this.root.querySelector(".add-box").addEventListener("click", () => this.addByKey());
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    sheets.push(this);
  }

  // A box with these corners, at its place from top to bottom.
  add(corners) {
    const box = { corners: corners.map((corner) => [...corner]), group: element("g", { tabindex: 0, role: "button" }) };
    box.group.addEventListener("keydown", (event) => this.key(event, box));
    box.group.addEventListener("focus", () => this.show(box.card));
    this.boxes.push(box);
    return box;
  }

  put(box) {
    this.boxes.push(box);
    this.sort();
    this.draw();
  }

  remove(box) {
    clearTimeout(box.timer);
    this.boxes = this.boxes.filter((each) => each !== box);
    if (this.current === box) this.current = null;
    this.draw();
  }

  sort() {
    const rank = new Map(this.boxes.map((box) => [box, middle(box.corners)]));
    this.boxes.sort((a, b) => {
      const [one, two] = [rank.get(a), rank.get(b)];
      const high = Math.abs(minus(a.corners[3], a.corners[0])[1]) / 2;
      return Math.abs(one[1] - two[1]) < high ? one[0] - two[0] : one[1] - two[1];
    });
  }

  show(card) {
    this.current = this.boxes.find((box) => box.card === card) ?? null;
    this.draw();
    const photo = this.root.querySelector(".photo");
    if (!this.current || photo.scrollHeight <= photo.clientHeight) return;
    const [, y] = middle(this.current.corners);
    photo.scrollTop = (y / this.page.size[1]) * photo.scrollHeight - photo.clientHeight / 2;
  }

  draw() {
    const { name, number } = this.page;
    this.root.querySelector(".name").textContent = this.isNumbered ? say("page_of_file", { name, number }) : name;
    this.root.querySelector(".found").textContent = this.boxes.length ? say("lines_found", { count: this.boxes.length }) : say("no_lines");
    this.root.querySelector(".add-box").textContent = say("add_box");
    this.root.querySelector(".help").textContent = say("box_help");
    this.root.querySelector("img").alt = say("photo_of", { name });
    const size = this.page.size[0] / 60;
    this.boxes.forEach((box, i) => {
      const { corners, group } = box;
      const current = box === this.current;
      group.setAttribute("class", current ? "box current" : "box");
      group.setAttribute("aria-label", say("box_of", { number: i + 1 }));
      const [x, y] = corners[0];
      const label = element("text", { x: x + size * 0.2, y: y - size * 0.25, "font-size": size });
      label.textContent = i + 1;
      group.replaceChildren(
        element("polygon", { points: corners.map((corner) => corner.join()).join(" ") }),
        label,
        ...(current ? corners.map(([cx, cy], k) => element("circle", { cx, cy, r: size * 0.45, "data-corner": k })) : []),
      );
      if (box.card && box.card.number !== i + 1) {
        box.card.number = i + 1;
        box.card.draw();
      }
    });
    const groups = this.boxes.map((box) => box.group);
    if (groups.length !== this.svg.children.length || groups.some((group, i) => this.svg.children[i] !== group)) {
      const focused = document.activeElement;
      this.svg.replaceChildren(...groups);
      if (groups.includes(focused)) focused.focus();
    }
  }

  point(event) {
    const frame = this.svg.getBoundingClientRect();
    const [width, height] = this.page.size;
    const inside = (value, most) => Math.max(0, Math.min(most, value));
    return [
      inside(((event.clientX - frame.left) / frame.width) * width, width),
      inside(((event.clientY - frame.top) / frame.height) * height, height),
    ];
  }

  // Press on a corner, a box or the paper: stretch it, move it, or draw a new one.
  press(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    const start = this.point(event);
    const corner = event.target.dataset.corner;
    let box = this.boxes.find((each) => each.group.contains(event.target));
    const old = box?.corners;
    const isNew = !box;
    let moved = false;
    const move = (now) => {
      const to = this.point(now);
      const [dx, dy] = minus(to, start);
      if (!moved && Math.hypot(dx, dy) < LEAST) return;
      if (!moved && isNew) box = this.add(upright(...start, ...start));
      moved = true;
      if (isNew)
        box.corners = upright(...[0, 1].map((i) => Math.min(start[i], to[i])), ...[0, 1].map((i) => Math.max(start[i], to[i])));
      else if (corner !== undefined) box.corners = stretched(old, Number(corner), to);
      else box.corners = old.map(([x, y]) => [x + dx, y + dy]);
      this.current = box;
      this.draw();
    };
    const stop = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", stop);
      window.removeEventListener("pointercancel", stop);
      if (moved && isNew) this.finish(box);
      else if (moved) this.changed(box);
      if (box) {
        box.group.focus();
        box.card?.root.scrollIntoView({ block: "nearest" });
      }
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", stop);
    window.addEventListener("pointercancel", stop);
  }

  // A new box gets its card, at its place among the others.
  finish(box) {
    const [left, top] = box.corners[0];
    const [right, bottom] = box.corners[2];
    box.corners = upright(left, top, Math.max(right, left + LEAST), Math.max(bottom, top + LEAST));
    const card = this.made(box);
    this.sort();
    const at = this.boxes.indexOf(box);
    const before = this.boxes.slice(0, at).map((each) => each.card.root);
    (before.at(-1) ?? this.root).after(card.root);
    this.draw();
    card.reread();
  }

  changed(box) {
    clearTimeout(box.timer);
    box.card.reread();
  }

  // A box for a line that was missed, below the current one or in the middle, to be moved by keys.
  addByKey() {
    const [width, height] = this.page.size;
    const last = this.current ?? this.boxes.at(-1);
    const high = last ? Math.max(LEAST, Math.hypot(...minus(last.corners[3], last.corners[0]))) : height / 20;
    const top = Math.min(height - high, last ? Math.max(...last.corners.map(([, y]) => y)) + high * 0.2 : height / 2);
    const box = this.add(upright(width * 0.1, top, width * 0.9, top + high));
    this.finish(box);
    box.group.focus();
  }

  key(event, box) {
    const step = Math.max(1, this.page.size[0] / 200) * (event.ctrlKey ? 5 : 1);
    const arrow = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (event.key === "Enter" && box.card.reading) box.card.enter();
    else if (event.key === "Delete" || event.key === "Backspace") box.card.deleteBox();
    else if (arrow) {
      const [dx, dy] = arrow;
      if (event.shiftKey) box.corners = stretched(box.corners, 2, [box.corners[2][0] + dx, box.corners[2][1] + dy]);
      else box.corners = box.corners.map(([x, y]) => [x + dx, y + dy]);
      this.draw();
      clearTimeout(box.timer);
      box.timer = setTimeout(() => this.changed(box), PAUSE);
    } else return;
    event.preventDefault();
  }
}

document.addEventListener("spoken", () => {
  for (const sheet of sheets) sheet.draw();
});
