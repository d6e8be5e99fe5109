// The map as it is drawn: where boxes and lines lie, what is seen, how it moves when boxes open, how it prints. `map.js` says what happens in it.
"use strict";
import { imageOf, outer, palette, styleOf, svgOf } from "./map_boxes.js";

export const NARROW = matchMedia("(max-width: 40rem)"), DARK = matchMedia("(prefers-color-scheme: dark)"), STILL = matchMedia("(prefers-reduced-motion: reduce)");
const MOVE = 220;
const READABLE = NARROW.matches ? 0.65 : 0.55;

// Who extends it has `element`, `cy`, `dagre`, `main`, `canvas`, `legend`.
export class Drawing {
  // Where a box is seen, in pixels of the canvas.
  placeOf(id) {
    return this.cy.getElementById(id).renderedPosition();
  }

  // `keys` names nodes of the graph whose boxes stay where they are while those around them make room.
  show(view, keys) {
    const before = keys && this.middleOf(keys, (id) => this.cy.getElementById(id).position());
    this.view = view;
    this.boxes = new Map(view.boxes.map((box) => [box.id, box]));
    this.colours = palette(DARK.matches);
    const places = this.layOut(view);
    const after = before && this.middleOf(keys, (id) => places.get(id));
    const anchor = after ? { x: before.x - after.x, y: before.y - after.y } : { x: 0, y: 0 };
    const was = new Map(this.cy.nodes().map((node) => [node.id(), { ...node.position() }]));
    this.cy.batch(() => {
      this.cy.elements().remove();
      this.cy.style(styleOf(this.colours));
      this.cy.add(view.boxes.map((box) => this.nodeOf(box)));
      this.cy.add(view.arrows.map((arrow) => this.lineOf(arrow)));
    });
    const isMoved = after && !STILL.matches;
    this.goals = new Map();
    for (const node of this.cy.nodes()) {
      const place = places.get(node.id()), to = { x: place.x + anchor.x, y: place.y + anchor.y };
      this.goals.set(node.id(), to);
      node.position(isMoved ? was.get(node.id()) || before : to);
      if (isMoved) node.animate({ position: to }, { duration: MOVE });
    }
    this.showLegend();
  }

  middleOf(keys, placeOf) {
    const some = this.view.boxes.filter((box) => (box.keys || [box.id]).some((key) => keys.has(key))).map((box) => placeOf(box.id));
    const mean = (axis) => some.reduce((sum, place) => sum + place[axis], 0) / some.length;
    return some.length ? { x: mean("x"), y: mean("y") } : null;
  }

  nodeOf(box) {
    return { group: "nodes", data: { id: box.id, ...outer(box), image: imageOf(box, this.colours) } };
  }

  lineOf([source, target, count, isSure]) {
    const words = this.view.unit && count ? `${count.toLocaleString("en").replaceAll(",", "\u2009")} ${this.view.unit}${count === 1 ? "" : "s"}` : "";
    const [leaves, arrives] = NARROW.matches ? ["180deg", "0deg"] : ["90deg", "270deg"];
    return { group: "edges", data: { id: `${source}>${target}`, source, target, label: words, isPossible: !isSure, leaves, arrives, ...this.bends(source, target) } };
  }

  layOut(view) {
    const graph = new this.dagre.Graph();
    graph.setGraph({ rankdir: NARROW.matches ? "TB" : "LR", nodesep: 12, ranksep: view.unit ? 76 : 46, edgesep: 8, marginx: 8, marginy: 8 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const box of view.boxes) graph.setNode(box.id, outer(box));
    for (const [source, target] of view.arrows) graph.setEdge(source, target);
    this.dagre.layout(graph);
    this.graph = graph;
    return new Map(view.boxes.map((box) => [box.id, graph.node(box.id)]));
  }

  // A line leaves and arrives along the direction of history, and goes around the boxes that it passes.
  curve(source, target) {
    const a = this.graph.node(source), b = this.graph.node(target), isDown = NARROW.matches;
    const start = isDown ? { x: a.x, y: a.y + a.height / 2 } : { x: a.x + a.width / 2, y: a.y };
    const end = isDown ? { x: b.x, y: b.y - b.height / 2 } : { x: b.x - b.width / 2, y: b.y };
    const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
    const passed = this.graph.edge(source, target).points.slice(1, -1);
    const half = isDown ? [{ x: start.x, y: middle.y }, { x: end.x, y: middle.y }] : [{ x: middle.x, y: start.y }, { x: middle.x, y: end.y }];
    return { start, end, middle, points: passed.length > 1 ? passed : half };
  }

  // The points of the curve as cytoscape wants them: shares of the way from end to end, and distances from it.
  bends(source, target) {
    const { start, end, points } = this.curve(source, target);
    const dx = end.x - start.x, dy = end.y - start.y, square = dx * dx + dy * dy || 1;
    const from = points.map((point) => ({ x: point.x - start.x, y: point.y - start.y }));
    return {
      weights: from.map((point) => (point.x * dx + point.y * dy) / square),
      distances: from.map((point) => (point.y * dx - point.x * dy) / Math.sqrt(square)),
    };
  }

  showLegend() {
    this.legend.replaceChildren(...this.view.states.map((state) => {
      const item = document.createElement("span");
      const known = ["succeeded", "failed", "killed", "running", "silent", "lost"].includes(state) ? state : "unknown";
      item.className = "state";
      item.innerHTML = `<svg class="mark is-${known}" aria-hidden="true"><use href="#mark-${known}"/></svg>`;
      item.append(state);
      return item;
    }));
  }

  // Where the boxes lie; asking cytoscape would draw everything once more.
  room() {
    const found = { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity };
    for (const [id, at] of this.goals) {
      const { width, height } = this.graph.node(id);
      Object.assign(found, { x1: Math.min(found.x1, at.x - width / 2), x2: Math.max(found.x2, at.x + width / 2), y1: Math.min(found.y1, at.y - height / 2), y2: Math.max(found.y2, at.y + height / 2) });
    }
    return { ...found, w: found.x2 - found.x1, h: found.y2 - found.y1 };
  }

  // Opening a box makes room below, and moves nothing that is seen.
  grow() {
    const high = Math.max(...this.view.boxes.map((box) => this.graph.node(box.id).y)) + 60;
    this.stretch(this.cy.zoom(), Math.max(high, (parseFloat(this.main.style.getPropertyValue("--wanted")) - 40) / this.cy.zoom()));
  }

  // What was opened slides into view, no further than it must; returns the first of its boxes, seen from above.
  makeRoom(keys) {
    const boxes = this.view.boxes.filter((box) => (box.keys || []).some((key) => keys.has(key)));
    const height = (box) => this.goals.get(box.id).y, some = boxes.map(height);
    const zoom = this.cy.zoom(), seen = (y) => y * zoom + this.cy.pan().y, edge = 40;
    const low = seen(Math.min(...some)) - edge, high = seen(Math.max(...some)) + edge;
    const shift = low < 0 ? -low : Math.min(0, Math.max(this.cy.height() - high, -low));
    if (Math.abs(shift) > 1) this.cy.animate({ panBy: { x: 0, y: shift } }, { duration: STILL.matches ? 0 : MOVE });
    return boxes.sort((a, b) => height(a) - height(b))[0]?.id;
  }

  stretch(zoom, height) {
    this.main.style.setProperty("--wanted", `${Math.ceil(height * zoom) + 40}px`);
    this.cy.resize();
  }

  // As high as the picture needs, so that what is below it is not pushed away; higher ones are moved about in.
  fit(least = READABLE) {
    const room = this.room(), edge = 12;
    this.stretch(Math.min(1, Math.max(READABLE, (this.canvas.clientWidth - 2 * edge) / room.w)), room.h);
    const [width, height] = [this.cy.width(), this.cy.height()];
    const zoom = Math.min(1, Math.max(least, Math.min((width - 2 * edge) / room.w, (height - 2 * edge) / room.h)));
    const focus = this.cy.getElementById(this.view.focus || ""), middle = focus.nonempty() ? focus.position() : { x: room.x1, y: room.y1 };
    const pan = (size, low, high, at) => ((high - low) * zoom <= size - edge ? (size - (high + low) * zoom) / 2
      : Math.min(edge - low * zoom, Math.max(size - edge - high * zoom, size / 2 - at * zoom)));
    this.cy.viewport({ zoom, pan: { x: pan(width, room.x1, room.x2, middle.x), y: pan(height, room.y1, room.y2, middle.y) } });
  }

  reveal(id) {
    const node = this.cy.getElementById(id);
    if (this.cy.animated() || node.animated() || this.isSeen(id)) return;
    this.cy.center(node);
  }

  isSeen(id) {
    const seen = this.cy.extent(), box = this.cy.getElementById(id).boundingBox();
    return box.x1 > seen.x1 && box.x2 < seen.x2 && box.y1 > seen.y1 && box.y2 < seen.y2;
  }

  recolour() {
    this.colours = palette(DARK.matches);
    this.cy.style(styleOf(this.colours));
    for (const node of this.cy.nodes()) node.data("image", imageOf(this.boxes.get(node.id()), this.colours));
  }

  // On paper: the whole picture, as it is opened and marked, in the colours of day.
  print(isPrinting) {
    this.element.querySelector(".map-paper")?.remove();
    if (!isPrinting) return;
    const colours = palette(false), { width, height } = this.graph.graph();
    const isMarked = (id) => this.cy.getElementById(id).hasClass("is-on-path");
    const lines = this.view.arrows.map(([source, target, , isSure]) => this.pathOf(source, target, isSure, isMarked(`${source}>${target}`), colours));
    const boxes = this.view.boxes.map((box) => {
      const { x, y, width: wide, height: high } = this.graph.node(box.id), at = { x: x - wide / 2, y: y - high / 2 };
      const frame = `<rect x="${at.x - 2}" y="${at.y - 2}" width="${wide + 4}" height="${high + 4}" fill="none" stroke="${colours.focus}" stroke-width="2"/>`;
      return svgOf(box, colours, `x="${at.x}" y="${at.y}"`) + (isMarked(box.id) ? frame : "");
    });
    const paper = document.createElement("div");
    paper.className = "map-paper";
    paper.innerHTML = `<svg viewBox="0 0 ${width} ${height}" width="${width}" role="img">${lines.join("")}${boxes.join("")}</svg>`;
    paper.firstChild.setAttribute("aria-label", this.view.words);
    this.element.append(paper);
  }

  pathOf(source, target, isSure, isMarked, colours) {
    const { start, end, middle, points } = this.curve(source, target), at = (point) => `${point.x} ${point.y}`;
    const steps = points.map((point, place) => {
      const next = points[place + 1];
      return `Q${at(point)} ${next ? at({ x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 }) : at(end)}`;
    });
    const words = this.cy.getElementById(`${source}>${target}`).data("label");
    const look = `fill="none" stroke="${isMarked ? colours.focus : colours.line}" stroke-width="${isMarked ? 4 : 1.4}" stroke-dasharray="${isSure ? "none" : "4 4"}"`;
    const head = NARROW.matches ? `M${end.x - 4} ${end.y - 7}L${at(end)}L${end.x + 4} ${end.y - 7}` : `M${end.x - 7} ${end.y - 4}L${at(end)}L${end.x - 7} ${end.y + 4}`;
    const label = words ? `<text x="${middle.x}" y="${middle.y - 3}" text-anchor="middle" font-size="10" fill="${colours.muted}">${words}</text>` : "";
    return `<path d="M${at(start)}${steps.join("")}${head}" ${look}/>${label}`;
  }
}
