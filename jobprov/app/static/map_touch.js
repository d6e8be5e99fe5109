// Fingers on the map: a tap chooses, one finger moves the page as everywhere else on it, two move
// the picture and make it larger.
"use strict";

const pairOf = (canvas, [one, other]) => {
  const { left, top } = canvas.getBoundingClientRect();
  return {
    x: (one.clientX + other.clientX) / 2 - left,
    y: (one.clientY + other.clientY) / 2 - top,
    apart: Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY)),
  };
};

export const listenToFingers = (map) => {
  const { canvas, cy } = map;
  let last = null,
    isTap = false;
  // cytoscape would take a finger that moved for a tap, and two that are near each other for a menu
  const noTap = () => {
    if (isTap) canvas.dispatchEvent(new Event("touchcancel", { bubbles: true }));
    isTap = false;
  };
  const begin = (event) => {
    last = event.touches.length === 2 ? pairOf(canvas, event.touches) : null;
    if (event.touches.length === 1) isTap = true;
    else {
      noTap();
      cy.stop();
      event.stopPropagation();
    }
  };
  const move = (event) => {
    noTap();
    event.stopPropagation();
    if (!last || event.touches.length !== 2) return;
    event.preventDefault();
    const now = pairOf(canvas, event.touches);
    cy.zoom({
      level: (cy.zoom() * now.apart) / last.apart,
      renderedPosition: { x: last.x, y: last.y },
    });
    cy.panBy({ x: now.x - last.x, y: now.y - last.y });
    last = now;
  };
  canvas.addEventListener("touchstart", begin, { capture: true, passive: true });
  canvas.addEventListener("touchmove", move, { capture: true, passive: false });
  canvas.addEventListener("touchend", () => (last = null), { capture: true, passive: true });
};
