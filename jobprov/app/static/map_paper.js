// The map on paper: the whole picture, as it is opened and marked, in the colours of day. What is
// wider than a sheet becomes several strips, one below the other, cut between boxes, so that words
// are as large as those around them.
"use strict";
import { COUNT_AT, palette, svgOf } from "./map_boxes.js";
import { NARROW } from "./map_drawing.js";

// In units of the picture; a sheet that lies across shows SHEET pixels side by side.
const WIDEST = 1250,
  HIGHEST = 900,
  SHEET = 960;

// Intervals that hold the others whole, none much longer than `most` where there is a gap to cut
// in.
const strips = (intervals, most) => {
  const found = [];
  let reach = -Infinity;
  for (const [low, high] of intervals.sort((a, b) => a[0] - b[0])) {
    const last = found.at(-1);
    if (last && (low < reach || high - last[0] <= most)) last[1] = Math.max(last[1], high);
    else found.push([low, high]);
    reach = Math.max(reach, high);
  }
  return found;
};

const line = (map, arrow, isMarked, colours) => {
  const isSure = arrow[3],
    { start, end, points } = map.curve(arrow),
    at = (point) => `${point.x} ${point.y}`;
  const steps = points.map((point, place) => {
    const next = points[place + 1];
    return `Q${at(point)} ${next ? at({ x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 }) : at(end)}`;
  });
  const look = `fill="none" stroke="${isMarked ? colours.focus : colours.line}" stroke-width="${isMarked ? 4 : 1.4}" stroke-dasharray="${isSure ? "none" : "4 4"}"`;
  const head = NARROW.matches
    ? `M${end.x - 4} ${end.y - 7}L${at(end)}L${end.x + 4} ${end.y - 7}`
    : `M${end.x - 7} ${end.y - 4}L${at(end)}L${end.x - 7} ${end.y + 4}`;
  return `<path d="M${at(start)}${steps.join("")}${head}" ${look}/>${count(map, arrow, start, end, colours)}`;
};

const count = (map, arrow, start, end, colours) => {
  const { leaving, arriving, shift } = map.countOf(arrow);
  if (!leaving && !arriving) return "";
  const from = leaving ? start : end,
    by = leaving ? COUNT_AT : -COUNT_AT;
  const place = NARROW.matches
    ? `x="${from.x}" y="${from.y + by / 2 + shift}"`
    : `x="${from.x + by}" y="${from.y - 4 + shift}"`;
  return `<text ${place} text-anchor="middle" font-size="10" fill="${colours.muted}" stroke="${colours.paper}" stroke-width="3" paint-order="stroke">${leaving || arriving}</text>`;
};

export const paperOf = (map) => {
  const colours = palette(false),
    isMarked = (id) => map.cy.getElementById(id).hasClass("is-on-path");
  const lines = map.view.arrows
    .map((arrow) => line(map, arrow, isMarked(`${arrow[0]}>${arrow[1]}`), colours))
    .join("");
  const boxes = map.view.boxes.map((box) => {
    const { x, y, width, height } = map.places.get(box.id);
    return {
      x1: x - width / 2,
      x2: x + width / 2,
      y1: y - height / 2,
      y2: y + height / 2,
      width,
      height,
      box,
    };
  });
  const drawn = ({ x1, y1, width, height, box }) => {
    const frame = `<rect x="${x1 - 2}" y="${y1 - 2}" width="${width + 4}" height="${height + 4}" fill="none" stroke="${colours.focus}" stroke-width="2"/>`;
    return svgOf(box, colours, `x="${x1}" y="${y1}"`) + (isMarked(box.id) ? frame : "");
  };
  const rim = map.view.unit ? 60 : 24; // so much of the lines is seen at a cut, counts among them
  const wides = strips(
    boxes.map((one) => [one.x1, one.x2]),
    WIDEST,
  );
  const scale = Math.min(1, ...wides.map(([x1, x2]) => SHEET / (x2 - x1 + 2 * rim)));
  const sheet = ([x1, x2], [y1, y2], some) => {
    const view = [x1 - rim, y1 - 12, x2 - x1 + 2 * rim, y2 - y1 + 24];
    return `<svg viewBox="${view.join(" ")}" width="${view[2] * scale}" height="${view[3] * scale}" role="img">${lines}${some.map(drawn).join("")}</svg>`;
  };
  const sheets = wides.flatMap((wide) => {
    const some = boxes.filter((one) => one.x1 < wide[1] && one.x2 > wide[0]);
    return strips(
      some.map((one) => [one.y1, one.y2]),
      HIGHEST,
    ).map((high) => sheet(wide, high, some));
  });
  const paper = document.createElement("div");
  paper.className = "map-paper";
  paper.innerHTML = sheets.join("");
  [...paper.children].forEach((svg, place) =>
    svg.setAttribute(
      "aria-label",
      sheets.length > 1
        ? `${map.view.words} (part ${place + 1} of ${sheets.length})`
        : map.view.words,
    ),
  );
  return paper;
};

// Nobody can point at paper: names are whole there, and it says where it came from.
const shown = new Map();
export const printNames = (isPrinting) => {
  for (const [link, parts] of shown) link.replaceChildren(...parts);
  shown.clear();
  for (const row of isPrinting ? document.querySelectorAll("tr[data-name]") : []) {
    const link = row.querySelector("a.name");
    if (!link) continue;
    shown.set(link, [...link.childNodes]);
    link.textContent = row.dataset.name;
  }
  const address = document.querySelector(".paper-address");
  if (address) address.textContent = location.href;
};
