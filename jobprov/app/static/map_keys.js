// Keys on the map: arrows walk from box to box, others open, fold, mark a path and let go.
"use strict";
import { NARROW } from "./map_drawing.js";

const step = (map, along, aside) => {
  if (!map.chosen)
    return map.choose(map.boxes.has(map.view.focus) ? map.view.focus : map.view.boxes[0].id);
  const node = map.cy.getElementById(map.chosen),
    place = node.position();
  const isNarrow = NARROW.matches,
    main = (p) => (isNarrow ? p.y : p.x),
    cross = (p) => (isNarrow ? p.x : p.y);
  const near = along
    ? along > 0
      ? node.outgoers("node")
      : node.incomers("node")
    : map.cy
        .nodes()
        .filter((one) => one !== node && (cross(one.position()) - cross(place)) * aside > 1);
  const cost = (one) =>
    Math.abs(cross(one.position()) - cross(place)) +
    (along ? 0 : 3 * Math.abs(main(one.position()) - main(place)));
  const next = near.toArray().sort((a, b) => cost(a) - cost(b))[0];
  if (next) map.choose(next.id());
  else
    map.tell(
      along
        ? along > 0
          ? "Nothing came of this here."
          : "Nothing is before this here."
        : "No box there.",
    );
};

export const pressed = (map, event) => {
  const along = NARROW.matches ? { ArrowDown: 1, ArrowUp: -1 } : { ArrowRight: 1, ArrowLeft: -1 };
  const aside = NARROW.matches ? { ArrowRight: 1, ArrowLeft: -1 } : { ArrowDown: 1, ArrowUp: -1 };
  const box = map.boxes.get(map.chosen);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in along || event.key in aside)
    step(map, along[event.key] || 0, aside[event.key] || 0);
  else if (event.key === "Enter") map.enter();
  else if (event.key === "Backspace" && box?.close) map.fold(box.close);
  else if (event.key === "Escape") map.choose(null);
  else if (event.key.toLowerCase() === "p" && box)
    map.words.get("start") && map.words.get("start") !== box.id ? map.endPath() : map.startPath();
  else if (event.key === "Home" && map.boxes.has(map.view.focus)) map.choose(map.view.focus);
  else if (event.key === "+" || event.key === "-")
    map.bar.querySelector(`[data-do=${event.key === "+" ? "in" : "out"}]`).click();
  else return;
  event.preventDefault();
};
