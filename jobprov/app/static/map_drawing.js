// The map as it is drawn: where boxes and lines lie, how they move when boxes open, and the legend.
// What of it is seen is in `map_window.js`.
"use strict";
import { COUNT_LINE, outer, palette, signOf, styleOf } from "./map_boxes.js";

export const NARROW = matchMedia("(max-width: 43rem)"),
  DARK = matchMedia("(prefers-color-scheme: dark)"),
  STILL = matchMedia("(prefers-reduced-motion: reduce)");
export const MOVE = 220;

// Who extends it has `element`, `cy`, `main`, `canvas`, `legend`.
export class Drawing {
  // Where a box is seen, in pixels of the canvas.
  placeOf(id) {
    return this.cy.getElementById(id).renderedPosition();
  }

  // `keys` names nodes of the graph whose boxes stay where they are while those around them make
  // room.
  show(view, keys) {
    const before = keys && this.middleOf(keys, (id) => this.cy.getElementById(id).position());
    this.view = view;
    this.boxes = new Map(view.boxes.map((box) => [box.id, box]));
    this.colours = palette(DARK.matches);
    this.images = new Map();
    this.places = new Map(view.boxes.map((box) => [box.id, this.placeIn(box)]));
    this.counts = this.countsOf(view);
    const after = before && this.middleOf(keys, (id) => this.places.get(id));
    const anchor = after ? { x: before.x - after.x, y: before.y - after.y } : { x: 0, y: 0 };
    this.goals = new Map();
    for (const [id, place] of this.places)
      this.goals.set(id, { x: place.x + anchor.x, y: place.y + anchor.y });
    const isMoved = after && !STILL.matches;
    const was = new Map(this.cy.nodes().map((node) => [node.id(), { ...node.position() }]));
    const from = (id) => (isMoved ? was.get(id) || before : this.goals.get(id));
    this.cy.batch(() => {
      this.cy.elements().remove();
      this.cy.style(styleOf(this.colours, NARROW.matches));
      this.cy.add(view.boxes.map((box) => this.nodeOf(box, from(box.id))));
      this.cy.add(view.arrows.map((arrow) => this.lineOf(arrow)));
    });
    for (const node of isMoved ? this.cy.nodes() : [])
      node.animate({ position: this.goals.get(node.id()) }, { duration: MOVE });
    this.room = this.extentOf(this.goals.keys());
    this.showLegend();
  }

  middleOf(keys, placeOf) {
    const some = this.view.boxes
      .filter((box) => (box.keys || [box.id]).some((key) => keys.has(key)))
      .map((box) => placeOf(box.id));
    const mean = (axis) => some.reduce((sum, place) => sum + place[axis], 0) / some.length;
    return some.length ? { x: mean("x"), y: mean("y") } : null;
  }

  // At which of its ends the count of each arrow stands, where fewer lines come together, and how
  // far it is shifted: those of one end stand below each other in the order of the boxes at the
  // other, or they would hide each other.
  countsOf(view) {
    const leaving = new Map(),
      arriving = new Map(),
      more = (counts, id) => counts.set(id, (counts.get(id) || 0) + 1);
    for (const [source, target] of view.arrows) {
      more(leaving, source);
      more(arriving, target);
    }
    const ends = new Map(),
      found = new Map(),
      axis = NARROW.matches ? "x" : "y";
    for (const [source, target] of view.arrows) {
      const isAtSource = arriving.get(target) > 1 && arriving.get(target) >= leaving.get(source),
        end = isAtSource ? `${source}>` : `>${target}`;
      ends.set(end, [
        ...(ends.get(end) || []),
        {
          id: `${source}>${target}`,
          isAtSource,
          far: this.places.get(isAtSource ? target : source)[axis],
        },
      ]);
    }
    for (const counts of ends.values()) {
      counts
        .sort((one, other) => one.far - other.far)
        .forEach((count, place) =>
          found.set(count.id, {
            isAtSource: count.isAtSource,
            shift: COUNT_LINE * (place - (counts.length - 1) / 2),
          }),
        );
    }
    return found;
  }

  nodeOf(box, at) {
    const data = { id: box.id, ...outer(box), image: this.imageOf(box) };
    return { group: "nodes", data, position: { ...at } };
  }

  // A name for what is to be painted: a new one each time, since cytoscape keeps by it what was
  // painted, and a box changes when others open.
  imageOf(box) {
    this.painted = (this.painted || 0) + 1;
    const name = `box-${this.painted}`;
    this.images.set(name, { box, colours: this.colours });
    return name;
  }

  // How much an arrow is, and where that stands.
  countOf([source, target, count]) {
    if (!this.view.unit || !count) return {};
    const words = `${count.toLocaleString("en").replaceAll(",", "\u202f")} ${this.view.unit}${count === 1 ? "" : "s"}`;
    const { isAtSource, shift } = this.counts.get(`${source}>${target}`);
    return isAtSource
      ? { leaving: words, arriving: "", shift }
      : { leaving: "", arriving: words, shift };
  }

  lineOf(arrow) {
    const [source, target, , isSure] = arrow;
    return {
      group: "edges",
      data: {
        id: `${source}>${target}`,
        source,
        target,
        ...this.countOf(arrow),
        isPossible: !isSure,
        ...this.bends(arrow),
      },
    };
  }

  // The middle of a box and its whole size. The server decides where boxes lie.
  placeIn(box) {
    return { x: box.x, y: box.y, ...outer(box) };
  }

  // Where these boxes lie, or will when they have come to rest; asking cytoscape would draw
  // everything once more.
  extentOf(ids) {
    const found = { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity };
    for (const id of ids) {
      const { width, height } = this.places.get(id),
        at = this.goals.get(id);
      Object.assign(found, {
        x1: Math.min(found.x1, at.x - width / 2),
        x2: Math.max(found.x2, at.x + width / 2),
        y1: Math.min(found.y1, at.y - height / 2),
        y2: Math.max(found.y2, at.y + height / 2),
      });
    }
    return found;
  }

  // A line leaves and arrives along the direction of history, and goes around the boxes that it
  // passes. `points` pull it: between two points that are not level, it turns halfway.
  curve([source, target, , , passed]) {
    const a = this.places.get(source),
      b = this.places.get(target),
      isDown = NARROW.matches;
    const start = isDown ? { x: a.x, y: a.y + a.height / 2 } : { x: a.x + a.width / 2, y: a.y };
    const end = isDown ? { x: b.x, y: b.y - b.height / 2 } : { x: b.x - b.width / 2, y: b.y };
    const way = [start, ...passed.map(([x, y]) => ({ x, y })), end];
    const points = way.slice(1).flatMap((next, place) => {
      const last = way[place];
      return isDown
        ? [
            { x: last.x, y: (last.y + next.y) / 2 },
            { x: next.x, y: (last.y + next.y) / 2 },
          ]
        : [
            { x: (last.x + next.x) / 2, y: last.y },
            { x: (last.x + next.x) / 2, y: next.y },
          ];
    });
    return { start, end, points };
  }

  // The points of the curve as cytoscape wants them: shares of the way from end to end, and
  // distances from it.
  bends(arrow) {
    const { start, end, points } = this.curve(arrow);
    const dx = end.x - start.x,
      dy = end.y - start.y,
      square = dx * dx + dy * dy || 1;
    const from = points.map((point) => ({ x: point.x - start.x, y: point.y - start.y }));
    return {
      weights: from.map((point) => (point.x * dx + point.y * dy) / square),
      distances: from.map((point) => (point.y * dx - point.x * dy) / Math.sqrt(square)),
    };
  }

  // What the picture leaves out, then its shapes, then the states in it.
  showLegend() {
    const states = ["succeeded", "failed", "killed", "running", "silent", "lost"];
    const row = (name, sign, words) => {
      const item = document.createElement("li");
      item.className = name;
      item.innerHTML = sign;
      item.append(words);
      return item;
    };
    const mark = (state) =>
      `<svg class="mark is-${state}" aria-hidden="true"><use href="#mark-${state}"/></svg>`;
    this.legend.replaceChildren(
      ...this.view.notes.map((note) => row("map-note", "", note)),
      ...this.view.shapes.map(([name, words]) => row("shape", signOf(name), words)),
      ...this.view.states.map((state) =>
        row("state", mark(states.includes(state) ? state : "unknown"), state),
      ),
    );
  }

  recolour() {
    this.colours = palette(DARK.matches);
    this.images.clear();
    this.cy.style(styleOf(this.colours, NARROW.matches));
    for (const node of this.cy.nodes()) node.data("image", this.imageOf(this.boxes.get(node.id())));
  }
}
