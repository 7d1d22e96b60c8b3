// A small line chart as SVG: points [x, y], the lowest and highest value at the left, the last x at the right.

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 110;
const LEFT = 40;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 20;

function element(name, attributes, text) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// `format` writes a value of the y axis; `label` is what a screen reader says.
export function chart(points, { label, format, dots = false }) {
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": label });
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [low, high] = [Math.min(0, ...ys), Math.max(...ys) || 1];
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const place = ([x, y]) => [
    LEFT + ((x - first) / (last - first || 1)) * (WIDTH - LEFT - RIGHT),
    TOP + ((high - y) / (high - low)) * (HEIGHT - TOP - BOTTOM),
  ];
  for (const value of [low, (low + high) / 2, high]) {
    const [, y] = place([first, value]);
    svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
    svg.append(element("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, format(value)));
  }
  const placed = points.map(place);
  svg.append(element("polyline", { class: "curve", points: placed.map((p) => p.map((v) => v.toFixed(1)).join()).join(" ") }));
  if (dots || placed.length === 1)
    for (const [x, y] of placed) svg.append(element("circle", { class: "dot", cx: x, cy: y, r: 2.5 }));
  svg.append(element("text", { x: LEFT, y: HEIGHT - 4 }, String(first)));
  if (last !== first) svg.append(element("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, String(last)));
  return svg;
}
