// The picture as a map: open and fold boxes where they stand, find, choose, follow a path, by mouse
// and by keys. What is opened, chosen and followed is in the address, so that a link shows the
// same; the server decides the boxes. Without this file its drawing stands there.
"use strict";
import { carry } from "./map_address.js";
import { paintBoxes } from "./map_boxes.js";
import { DARK, NARROW, STILL } from "./map_drawing.js";
import { pressed } from "./map_keys.js";
import { showBox, spoken } from "./map_panel.js";
import { paperOf, printNames } from "./map_paper.js";
import { Search } from "./map_search.js";
import { listenToFingers } from "./map_touch.js";
import { Window } from "./map_window.js";

const DOUBLE = 350;

class Place extends Window {
  constructor(element) {
    super();
    this.element = element;
    element.map = this; // for tests, and for whoever looks with the browser's tools
    this.drawing = element.querySelector(".picture");
    this.cached = new Map();
    this.hits = [];
  }

  async begin() {
    const [cytoscape, view] = await Promise.all([
      import(this.element.dataset.cytoscape),
      this.ask(),
    ]);
    this.element.insertBefore(
      this.element.querySelector("template").content.cloneNode(true),
      this.drawing,
    );
    for (const name of ["bar", "main", "canvas", "panel", "find", "found", "elsewhere", "legend"])
      this[name] = this.element.querySelector(`.map-${name}`);
    this.status = this.element.querySelector("[role=status]");
    this.search = new Search(document.querySelectorAll("tr[data-keys]"));
    // cytoscape writes a rule into the page unless this id is there; the page's policy forbids
    // that, and the rule is in jobprov.css
    document.querySelector("link[rel=stylesheet]").id ||= "__________cytoscape_stylesheet";
    this.element.classList.add("is-map");
    this.cy = cytoscape.default({
      container: this.canvas,
      minZoom: 0.08,
      maxZoom: 2,
      boxSelectionEnabled: false,
      autoungrabify: true,
      autounselectify: true,
    });
    paintBoxes(this.cy.renderer(), (name) => this.images.get(name));
    this.show(view);
    this.watchEdges();
    this.follow(this.words);
    this.fit(this.marked());
    this.listen();
    document.querySelector(".fold-again")?.remove(); // a button of the map does it
    this.cy.once("render", () =>
      requestAnimationFrame(() =>
        this.element.setAttribute("data-ready", Math.round(performance.now())),
      ),
    );
  }

  // -- what the server says

  get words() {
    return new URL(location.href).searchParams;
  }

  async ask() {
    // the same to the letter as in the page's head, which asks for it before this script is there
    const opened = this.words
      .getAll("expanded")
      .map((handle) => `&expanded=${encodeURIComponent(handle)}`);
    const address = new URL(this.element.dataset.map + opened.join(""), location.href);
    if (NARROW.matches) address.searchParams.set("picture", "map-down");
    if (!this.cached.has(address.href)) {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`${address.pathname}: ${answer.status}`);
      this.cached.set(address.href, await answer.json());
    }
    return this.cached.get(address.href);
  }

  // The same; nothing where the reader has gone on to another picture while it was under way, since
  // that one is the one to show.
  async askForHere() {
    const opened = this.words.getAll("expanded").join();
    const view = await this.ask();
    return this.words.getAll("expanded").join() === opened ? view : null;
  }

  // -- choosing, finding, following

  remember(changes, isStep) {
    const address = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) {
      address.searchParams.delete(name);
      for (const word of [value].flat()) if (word) address.searchParams.append(name, word);
    }
    if (address.href === location.href) return;
    if (isStep) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    carry(this.words, this.bar);
  }

  // `isTapped`: by a finger or the mouse, which may come again at once, so that nothing moves under
  // it yet. `sought`: which of what the box holds is meant, by name; else what is searched.
  choose(id, { isTold = true, isTapped = false, sought = "" } = {}) {
    this.chosen = this.boxes.has(id) ? id : null;
    this.cy.nodes().removeClass("is-chosen");
    this.remember({ at: this.boxes.get(this.chosen)?.kind === "stub" ? null : this.chosen });
    const path = this.showPath();
    if (!this.chosen) return this.showPanel(false);
    const box = this.boxes.get(this.chosen);
    this.cy.getElementById(this.chosen).addClass("is-chosen");
    const acts = {
      open: (handle) => this.open(handle),
      close: (handle) => this.fold(handle),
      start: () => this.startPath(),
      end: () => this.endPath(),
      forget: () => this.forgetPath(),
    };
    const had = this.panel.contains(document.activeElement);
    showBox(this.panel, box, path, acts, (sought || this.find.value.trim()).toLowerCase());
    this.showPanel(true);
    this.panel.classList.toggle("is-new", isTapped);
    clearTimeout(this.later);
    if (isTapped) this.later = setTimeout(() => this.rest(), DOUBLE);
    else this.reveal(this.chosen);
    if (had) this.panel.querySelector("h3").focus({ preventScroll: true });
    if (isTold) this.tell(spoken(box));
  }

  rest() {
    this.panel.classList.remove("is-new");
    if (this.chosen) this.reveal(this.chosen);
  }

  // The picture has the panel's room until something is chosen.
  showPanel(isShown) {
    if (this.panel.hidden !== isShown) return;
    const hadFocus = this.panel.contains(document.activeElement);
    this.panel.hidden = !isShown;
    this.main.classList.toggle("is-chosen", isShown);
    if (hadFocus) this.canvas.focus({ preventScroll: true });
    this.updateEdges();
  }

  tell(words) {
    this.status.textContent = words;
  }

  async open(handle) {
    await this.change(
      [...new Set([...this.words.getAll("expanded"), handle])],
      (box) => box.open === handle,
      "Opened",
    );
  }

  async fold(handle) {
    await this.change(
      this.words.getAll("expanded").filter((one) => one !== handle),
      (box) => box.close === handle,
      "Folded",
    );
  }

  // `isIt` tells the boxes that change.
  async change(expanded, isIt, words) {
    const keys = this.view.boxes.filter(isIt).flatMap((box) => box.keys);
    this.remember({ expanded }, true);
    this.element.setAttribute("aria-busy", "true");
    try {
      const before = this.boxes.size,
        view = await this.askForHere();
      if (!view) return;
      this.show(view, new Set(keys));
      const changed = this.holding(new Set(keys));
      this.follow(this.words, changed[0]);
      this.settle(changed);
      this.tell(
        `${words}: ${Math.abs(this.boxes.size - before)} boxes ${this.boxes.size < before ? "fewer" : "more"}.`,
      );
    } catch {
      location.reload();
    } finally {
      this.element.removeAttribute("aria-busy");
    }
  }

  // Draws what the address says beside the boxes: search, path, choice.
  follow(words, at = words.get("at")) {
    this.find.value = words.get("find") || "";
    this.mark();
    this.choose(this.boxHolding(at), { isTold: false });
    carry(this.words, this.bar);
  }

  // Ids of the boxes that hold some of these nodes, from above.
  holding(keys) {
    const height = (box) => this.goals.get(box.id).y;
    return this.view.boxes
      .filter((box) => (box.keys || []).some((key) => keys.has(key)))
      .sort((a, b) => height(a) - height(b))
      .map((box) => box.id);
  }

  // What is to be seen first: the path where one is shown, else what is chosen.
  marked() {
    const path = this.cy.nodes(".is-on-path").map((node) => node.id());
    return path.length ? path : this.chosen ? [this.chosen] : [];
  }

  boxHolding(key) {
    if (!key || this.boxes.has(key)) return key;
    return this.view.boxes.find((box) => (box.keys || []).includes(key))?.id || null;
  }

  mark() {
    const words = this.find.value.trim().toLowerCase();
    this.hits = this.search.boxes(this.view, words);
    const left = this.search.filter(words);
    this.cy.elements().removeClass("is-found is-dim");
    if (words) {
      this.cy.elements().addClass("is-dim");
      for (const id of this.hits)
        this.cy.getElementById(id).removeClass("is-dim").addClass("is-found");
    }
    this.found.textContent = words ? this.search.said(this.view, this.hits.length, left) : "";
    this.search.listElsewhere(this.view, words, this.elsewhere);
  }

  startPath() {
    this.remember({ start: this.chosen, end: null });
    this.choose(this.chosen, { isTold: false });
    this.tell("The path starts here; choose the other end.");
  }

  endPath() {
    this.remember({ end: this.chosen });
    this.choose(this.chosen, { isTold: false });
    this.tell(this.panel.querySelector(".note")?.textContent || "");
  }

  forgetPath() {
    this.remember({ start: null, end: null });
    this.choose(this.chosen, { isTold: false });
    this.tell("No path.");
  }

  showPath() {
    const start = this.boxHolding(this.words.get("start")),
      end = this.boxHolding(this.words.get("end"));
    this.cy.elements().removeClass("is-on-path");
    if (!this.find.value.trim()) this.cy.elements().removeClass("is-dim");
    if (!start) return {};
    const name = this.boxes.get(start).label;
    if (!end) return { start, words: `A path starts at ${name}: choose its other end.` };
    const from = this.cy.getElementById(start),
      to = this.cy.getElementById(end);
    const between = (first, last) =>
      first.successors().union(first).intersection(last.predecessors().union(last));
    const way = [between(from, to), between(to, from)].find(
      (some) => some.contains(from) && some.contains(to),
    );
    if (!way)
      return {
        start,
        end,
        words: `No path joins ${name} and ${this.boxes.get(end).label} in this picture.`,
      };
    this.cy.elements().difference(way).addClass("is-dim");
    way.removeClass("is-dim").addClass("is-on-path");
    return {
      start,
      end,
      words: `${way.nodes().length} boxes lie on the paths between ${name} and ${this.boxes.get(end).label}.`,
    };
  }

  // -- mouse and keys

  listen() {
    let last = { id: null, at: 0 };
    this.cy.on("tap", (event) => {
      const id = event.target === this.cy ? null : event.target.isNode() ? event.target.id() : null;
      const isTwice = id && id === last.id && event.timeStamp - last.at < DOUBLE;
      last = { id, at: event.timeStamp };
      this.choose(id, { isTapped: true });
      if (isTwice) this.enter();
    });
    this.cy.on("mouseover", "node", (event) => {
      this.canvas.title = this.boxes.get(event.target.id()).title;
      this.canvas.classList.add("is-over");
    });
    this.cy.on("mouseout", "node", () => {
      this.canvas.title = "";
      this.canvas.classList.remove("is-over");
    });
    this.canvas.addEventListener("keydown", (event) => pressed(this, event));
    this.find.addEventListener("input", () => {
      this.remember({ find: this.find.value.trim() });
      this.mark();
      if (this.chosen)
        this.choose(this.chosen, { isTold: false }); // what it holds is listed anew
      else this.showPath();
      if (this.hits.length && !this.hits.some((id) => this.isSeen(id))) this.reveal(this.hits[0]);
      this.tell(this.found.textContent);
    });
    this.find.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !this.hits.length) return;
      this.choose(this.hits[(this.hits.indexOf(this.chosen) + 1) % this.hits.length]);
    });
    this.bar.addEventListener("click", (event) => {
      const wanted = event.target.dataset?.do;
      if (wanted === "fit") this.fit([], this.cy.minZoom());
      else if (wanted === "fold") this.change([], (box) => box.close, "Folded");
      else if (wanted) this.zoomBy(wanted === "in" ? 1.25 : 0.8);
    });
    addEventListener("popstate", async () => {
      const view = await this.askForHere().catch(() => location.reload());
      if (!view) return;
      this.show(view, new Set(this.boxes.get(this.chosen || this.view.focus)?.keys || []));
      this.follow(this.words);
      this.settle(this.marked());
    });
    for (const sign of this.main.querySelectorAll(".map-more"))
      sign.addEventListener("click", () => this.goOn(sign.dataset.side));
    // the wheel moves the page, as everywhere else on it; only with Ctrl, or two fingers, it makes
    // the picture larger
    this.main.addEventListener(
      "wheel",
      (event) => event.ctrlKey || event.metaKey || event.stopPropagation(),
      { capture: true, passive: true },
    );
    listenToFingers(this);
    DARK.addEventListener("change", () => this.recolour());
    matchMedia("print").addEventListener("change", (event) => this.print(event.matches));
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
    for (const row of document.querySelectorAll("tr[data-keys]")) this.addButton(row);
  }

  enter() {
    const box = this.boxes.get(this.chosen);
    if (box?.open) this.open(box.open);
    else if (box?.url) location.assign(box.url);
  }

  addButton(row) {
    const show = document.createElement("button");
    show.type = "button";
    show.className = "map-show";
    show.textContent = "show";
    const name = row.dataset.name || row.cells[1].textContent.trim();
    show.setAttribute("aria-label", `Show ${name} in the picture`);
    show.addEventListener("click", () => {
      this.choose(this.boxHolding(row.dataset.keys) || this.badgeHolding(row), { sought: name });
      this.canvas.focus({ preventScroll: true });
      this.element.scrollIntoView({
        block: "nearest",
        behavior: STILL.matches ? "auto" : "smooth",
      });
    });
    row.cells[0].append(" ", show);
  }

  // On paper, where nothing can be chosen, is everything.
  print(isPrinting) {
    this.element.querySelector(".map-paper")?.remove();
    if (isPrinting) this.element.append(paperOf(this));
    printNames(isPrinting);
  }

  badgeHolding(row) {
    const name = row.dataset.name || row.cells[1].textContent.trim();
    return (
      this.view.boxes.find((box) => (box.shared || []).some((one) => one[0].endsWith(name)))?.id ||
      null
    );
  }
}

for (const element of document.querySelectorAll(".map-place")) {
  const begin = () =>
    new Place(element).begin().catch((problem) => {
      element.classList.remove("is-map");
      const kept = element.querySelector("noscript");
      if (kept) kept.outerHTML = kept.textContent;
      console.warn(`The map could not be drawn; the server's picture stands instead. ${problem}`);
    });
  const start = element.querySelector(".map-start button");
  const kept = element.querySelector("noscript");
  if (!NARROW.matches || new URL(location.href).searchParams.has("at")) begin();
  else {
    if (kept) kept.outerHTML = kept.textContent;
    start.hidden = false;
    start.addEventListener("click", async () => {
      start.hidden = true;
      await begin();
      element.scrollIntoView({ block: "start", behavior: "instant" });
      element.querySelector(".map-canvas")?.focus({ preventScroll: true });
    });
  }
}
