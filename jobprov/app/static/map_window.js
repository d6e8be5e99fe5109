// What of the map is seen: how large it is, what is moved into view, and the signs that it goes on
// beyond an edge.
"use strict";
import { Drawing, MOVE, NARROW, STILL } from "./map_drawing.js";

// Words of boxes are 12 px high, so they are read without effort; a path may be seen smaller, since
// it is to be seen whole.
const READABLE = 0.85,
  LEAST_OF_PATH = 0.4;
const EDGE = 14,
  BESIDE = 320;
// The signs at the edges need so much room; what is brought into view stays clear of them.
const CLEAR = 36;

// Who extends it has `panel` and `chosen` besides what a drawing has.
export class Window extends Drawing {
  // What the panel does not cover. Where the picture is lower than the panel needs, that stands
  // below it.
  seenSize() {
    const isCovered =
      !this.panel.hidden && !NARROW.matches && !this.main.classList.contains("is-low");
    return {
      width: this.cy.width() - (isCovered ? this.panel.offsetWidth : 0),
      height: this.cy.height(),
    };
  }

  // As high as the picture needs, so that what is below it is not pushed away; higher ones are
  // moved about in.
  stretch(zoom) {
    const wanted = Math.ceil((this.room.y2 - this.room.y1) * zoom) + 2 * EDGE;
    this.main.style.setProperty("--wanted", `${wanted}px`);
    this.main.classList.toggle("is-low", wanted < BESIDE);
    this.cy.resize();
  }

  // The nearest place at which nothing is left empty: what fits stands in the middle, what does not
  // reaches to the edges.
  held(pan, zoom = this.cy.zoom()) {
    const { width, height } = this.seenSize(),
      { x1, x2, y1, y2 } = this.room;
    const one = (size, low, high, at) =>
      (high - low) * zoom <= size - 2 * EDGE
        ? (size - (high + low) * zoom) / 2
        : Math.min(EDGE - low * zoom, Math.max(size - EDGE - high * zoom, at));
    return { x: one(width, x1, x2, pan.x), y: one(height, y1, y2, pan.y) };
  }

  // The whole where it can be read, else around `ids`, else around the file asked for, else from
  // where it begins.
  fit(ids = [], least = READABLE) {
    const { room } = this,
      isPath = ids.length > 1;
    const around = this.extentOf(
      ids.length ? ids : [this.boxes.has(this.view.focus) ? this.view.focus : this.firstBox()],
    );
    const across = (extent) => (this.seenSize().width - 2 * EDGE) / (extent.x2 - extent.x1);
    this.stretch(Math.min(1, Math.max(least, across(room))));
    const inside = (extent) =>
      Math.min(across(extent), (this.seenSize().height - 2 * EDGE) / (extent.y2 - extent.y1));
    const zoom = Math.min(
      1,
      Math.max(
        inside(room),
        isPath ? Math.min(least, Math.max(LEAST_OF_PATH, inside(around))) : least,
      ),
    );
    const { width, height } = this.seenSize();
    const pan = {
      x: width / 2 - ((around.x1 + around.x2) / 2) * zoom,
      y: height / 2 - ((around.y1 + around.y2) / 2) * zoom,
    };
    this.cy.viewport({ zoom, pan: this.held(pan, zoom) });
  }

  // Where history begins.
  firstBox() {
    const along = NARROW.matches ? "y" : "x";
    return [...this.goals].reduce((first, one) =>
      one[1][along] < first[1][along] ? one : first,
    )[0];
  }

  // After boxes opened or folded: as high as they need now, and what changed is seen; else as
  // little moves as can be.
  settle(ids) {
    const zoom = this.cy.zoom();
    this.stretch(zoom);
    const pan = this.held(this.cy.pan(), zoom);
    this.cy.stop();
    this.cy.animate(
      { pan: this.held(ids.length ? this.panTo(this.extentOf(ids), pan) : pan, zoom) },
      { duration: STILL.matches ? 0 : MOVE },
    );
  }

  // The nearest place at which an extent is seen; its beginning where there is no room for all of
  // it.
  panTo(extent, pan = this.cy.pan()) {
    const zoom = this.cy.zoom(),
      { width, height } = this.seenSize();
    const one = (size, low, high, at) =>
      at + Math.max(CLEAR - (low * zoom + at), Math.min(0, size - CLEAR - (high * zoom + at)));
    return {
      x: one(width, extent.x1, extent.x2, pan.x),
      y: one(height, extent.y1, extent.y2, pan.y),
    };
  }

  reveal(id) {
    if (!this.cy.animated() && !this.isSeen(id))
      this.cy.pan(this.held(this.panTo(this.extentOf([id]))));
  }

  isSeen(id) {
    const { x1, x2, y1, y2 } = this.extentOf([id]),
      zoom = this.cy.zoom(),
      pan = this.cy.pan(),
      { width, height } = this.seenSize();
    return (
      x1 * zoom + pan.x >= 0 &&
      x2 * zoom + pan.x <= width &&
      y1 * zoom + pan.y >= 0 &&
      y2 * zoom + pan.y <= height
    );
  }

  zoomBy(factor) {
    const { width, height } = this.seenSize();
    this.cy.zoom({
      level: this.cy.zoom() * factor,
      renderedPosition: { x: width / 2, y: height / 2 },
    });
  }

  // Moves most of a window towards a side.
  goOn(side) {
    const { width, height } = this.seenSize(),
      pan = this.cy.pan();
    const [x, y] = { left: [1, 0], right: [-1, 0], top: [0, 1], bottom: [0, -1] }[side];
    this.cy.stop();
    this.cy.animate(
      { pan: this.held({ x: pan.x + x * 0.8 * width, y: pan.y + y * 0.8 * height }) },
      { duration: STILL.matches ? 0 : MOVE },
    );
  }

  // At each edge beyond which the picture goes on stands a sign, which leads there.
  watchEdges() {
    const signs = Object.fromEntries(
      [...this.main.querySelectorAll(".map-more")].map((sign) => [sign.dataset.side, sign]),
    );
    let isDue = false;
    const update = () => {
      isDue = false;
      const zoom = this.cy.zoom(),
        pan = this.cy.pan(),
        { width, height } = this.seenSize(),
        { x1, x2, y1, y2 } = this.room;
      const isBeyond = {
        left: x1 * zoom + pan.x < -1,
        right: x2 * zoom + pan.x > width + 1,
        top: y1 * zoom + pan.y < -1,
        bottom: y2 * zoom + pan.y > height + 1,
      };
      for (const [side, sign] of Object.entries(signs)) sign.hidden = !isBeyond[side];
    };
    this.updateEdges = () => {
      if (!isDue) requestAnimationFrame(update);
      isDue = true;
    };
    this.cy.on("viewport resize", this.updateEdges);
    this.updateEdges();
  }
}
