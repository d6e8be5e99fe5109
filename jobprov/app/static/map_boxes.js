// How the map draws: the look of a box, the same as the server's own drawing, and of lines. Words
// and sizes come from the server.
"use strict";

const SHIFT = 3;
// How far from the end of an arrow its count stands: in the middle the lines of one box lie on each
// other, and hide it.
export const COUNT_AT = 36,
  COUNT_LINE = 12;
const PALETTES = {
  light: {
    ink: "#1b1f24",
    muted: "#57606a",
    line: "#8c959f",
    hair: "#d0d7de",
    paper: "#ffffff",
    file: "#f3f5f8",
    focus: "#0072b2",
    focusFill: "#ddeefa",
    badge: "#eceff2",
    succeeded: "#009e73",
    failed: "#d55e00",
    killed: "#b8588f",
    running: "#0072b2",
    silent: "#b87a00",
    lost: "#2f8fc4",
    unknown: "#767676",
    found: "#f0c000",
  },
  dark: {
    ink: "#e6edf3",
    muted: "#9da7b1",
    line: "#6e7681",
    hair: "#3d444d",
    paper: "#0d1117",
    file: "#1b222b",
    focus: "#56b4e9",
    focusFill: "#12304a",
    badge: "#262d36",
    succeeded: "#20c997",
    failed: "#ff7b39",
    killed: "#cc79a7",
    running: "#4aa8e0",
    silent: "#e69f00",
    lost: "#56b4e9",
    unknown: "#9da7b1",
    found: "#f0c000",
  },
};
const MONO = "ui-monospace,'DejaVu Sans Mono',monospace";
const SANS = "system-ui,'DejaVu Sans',sans-serif";
const escaped = (text) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

export const palette = (isDark) => PALETTES[isDark ? "dark" : "light"];

// What a mark consists of: names of SVG elements, their attributes, and words of texts.
const mark = (state, x, y, colours) => {
  const fill = colours[state] || colours.unknown;
  const ring = (dashes) => [
    "circle",
    {
      cx: x,
      cy: y,
      r: 5,
      fill: "none",
      stroke: fill,
      "stroke-width": 2.5,
      "stroke-dasharray": dashes,
    },
  ];
  const drawn = {
    succeeded: ["circle", { cx: x, cy: y, r: 6, fill }],
    failed: ["path", { d: `M${x} ${y - 7}L${x + 7} ${y + 6}L${x - 7} ${y + 6}z`, fill }],
    killed: ["path", { d: `M${x - 6} ${y - 6}h12v12h-12z`, fill }],
    running: ring("none"),
    silent: ring("3.5 2.8"),
    lost: [
      "text",
      { x, y: y + 6, "text-anchor": "middle", "font-size": 17, "font-weight": 700, fill },
      "?",
    ],
  };
  return (
    drawn[state] || [
      "path",
      { d: `M${x} ${y - 7}L${x + 7} ${y}L${x} ${y + 7}L${x - 7} ${y}z`, fill },
    ]
  );
};

const look = (box, colours) => {
  if (box.kind === "stub")
    return { fill: colours.paper, stroke: colours.line, dashes: "3 3", width: 1 };
  if (box.is_focus)
    return { fill: colours.focusFill, stroke: colours.focus, dashes: "none", width: 2.5 };
  if (box.is_placeholder)
    return { fill: colours.paper, stroke: colours.muted, dashes: "4 3", width: 1 };
  const isUnhappy = box.state && box.state !== "succeeded" && box.state !== "running";
  if (isUnhappy)
    return {
      fill: colours.paper,
      stroke: colours[box.state] || colours.unknown,
      dashes: "none",
      width: 2.5,
    };
  return {
    fill: box.state ? colours.paper : colours.file,
    stroke: colours.line,
    dashes: "none",
    width: 1,
  };
};

// Room for the outline, and for the sheets of a stack.
export const outer = (box) => {
  const more = (box.is_folded ? 2 * SHIFT : 0) + 4;
  return { width: box.width + more, height: box.height + more };
};

// A box as a list of SVG elements: name, attributes, and words of texts. Paper writes them down,
// the canvas paints them.
export const partsOf = (box, colours) => {
  const { fill, stroke, dashes, width: line } = look(box, colours);
  const rx = box.kind === "stub" ? 11 : box.state ? 3 : 9;
  const sheet = (shift, style) => [
    "rect",
    { x: 2 + shift, y: 2 + shift, width: box.width, height: box.height, rx, fill, ...style },
  ];
  const stack = box.is_folded
    ? [2 * SHIFT, SHIFT].map((shift) => sheet(shift, { stroke: colours.line }))
    : [];
  const parts = [...stack, sheet(0, { stroke, "stroke-width": line, "stroke-dasharray": dashes })];
  const x = box.state ? 34 : 12;
  let y = box.kind === "stub" ? 17 : 20;
  parts.push([
    "text",
    {
      x,
      y,
      "font-family": MONO,
      "font-weight": box.is_focus || box.state ? 700 : 400,
      fill: colours.ink,
    },
    box.label,
  ]);
  y = 20;
  if (box.detail)
    parts.push(["text", { x, y: (y += 16), "font-size": 11, fill: colours.muted }, box.detail]);
  if (box.badge) {
    parts.push([
      "rect",
      { x, y: y + 7, width: box.badge.length * 6.1 + 12, height: 16, rx: 8, fill: colours.badge },
    ]);
    parts.push(["text", { x: x + 6, y: y + 19, "font-size": 10, fill: colours.muted }, box.badge]);
  }
  if (box.state) parts.push(mark(box.state, 18, 16, colours));
  return parts;
};

const written = ([name, attributes, words = ""]) => {
  const all = Object.entries(attributes).map(([key, value]) => `${key}="${value}"`);
  return `<${name} ${all.join(" ")}>${escaped(words)}</${name}>`;
};

// A box as an `<svg>` element in text, with these attributes besides its size.
export const svgOf = (box, colours, attributes) => {
  const { width, height } = outer(box);
  return `<svg ${attributes} width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${SANS}" font-size="12">${partsOf(box, colours).map(written).join("")}</svg>`;
};

const pathOf = (name, attributes) => {
  const path = new Path2D(attributes.d);
  if (name === "rect")
    path.roundRect(attributes.x, attributes.y, attributes.width, attributes.height, attributes.rx);
  if (name === "circle") path.arc(attributes.cx, attributes.cy, attributes.r, 0, 2 * Math.PI);
  return path;
};

const paint = (context, [name, attributes, words]) => {
  const {
    fill,
    stroke,
    "stroke-width": line = 1,
    "stroke-dasharray": dashes = "none",
  } = attributes;
  context.fillStyle = fill;
  if (name === "text") {
    context.font = `${attributes["font-weight"] || 400} ${attributes["font-size"] || 12}px ${attributes["font-family"] || SANS}`;
    context.textAlign = attributes["text-anchor"] === "middle" ? "center" : "left";
    context.fillText(words, attributes.x, attributes.y);
    return;
  }
  const path = pathOf(name, attributes);
  if (fill !== "none") context.fill(path);
  if (!stroke) return;
  Object.assign(context, { strokeStyle: stroke, lineWidth: line });
  context.setLineDash(dashes === "none" ? [] : dashes.split(" ").map(Number));
  context.stroke(path);
};

// Has cytoscape paint boxes where it would draw images: it can load an image of each box, but a
// browser takes as long for two hundred small SVG documents as for all the rest of the map.
// `boxNamed` finds the box by the name that is its `background-image`.
export const paintBoxes = (renderer, boxNamed) => {
  // Else its first frame waits for a layer with the whole picture, up to 64 MB of what nobody sees
  renderer.data.lyrTxrCache.firstGet = false;
  renderer.getCachedImage = (name) => ({ complete: true, ...boxNamed(name) });
  renderer.drawInscribedImage = (context, { box, colours }, node, place, opacity) => {
    context.save();
    context.globalAlpha = opacity;
    context.translate(-node.width() / 2, -node.height() / 2); // (0, 0) is the middle of the node
    for (const part of partsOf(box, colours)) paint(context, part);
    context.restore();
  };
};

// A small picture of a shape of the legend; names and meanings come from the server.
export const signOf = (name) => {
  const parts =
    name === "unsure"
      ? '<path d="M0 8h16"/>'
      : name === "stack"
        ? '<rect x="4.5" y="6.5" width="11" height="8" rx="1"/><rect x="2.5" y="4.5" width="11" height="8" rx="1"/><rect x=".5" y="2.5" width="11" height="8" rx="1"/>'
        : `<rect x="1" y="2.5" width="14" height="11" rx="${name === "job" ? 1 : name === "stub" ? 5.5 : 4}"/>`;
  return `<svg class="sign is-${name}" viewBox="0 0 16 16" aria-hidden="true">${parts}</svg>`;
};

export const styleOf = (colours, isDown) => [
  {
    selector: "node",
    style: {
      shape: "round-rectangle",
      width: "data(width)",
      height: "data(height)",
      "background-opacity": 0,
      "border-width": 0,
      "background-image": "data(image)",
      "background-image-containment": "over",
      "outline-offset": 2,
    },
  },
  {
    selector: "edge",
    style: {
      width: 1.4,
      "line-color": colours.line,
      "target-arrow-shape": "vee",
      "target-arrow-color": colours.line,
      "arrow-scale": 0.8,
      "source-endpoint": isDown ? "180deg" : "90deg",
      "target-endpoint": isDown ? "0deg" : "270deg",
      "edge-distances": "endpoints",
      "curve-style": "unbundled-bezier",
      "control-point-distances": "data(distances)",
      "control-point-weights": "data(weights)",
    },
  },
  {
    selector: "edge[shift]",
    style: {
      "target-label": "data(arriving)",
      "target-text-offset": COUNT_AT,
      "source-label": "data(leaving)",
      "source-text-offset": COUNT_AT,
      "target-text-margin-y": "data(shift)",
      "source-text-margin-y": "data(shift)",
      "font-size": 10,
      "font-family": "system-ui, sans-serif",
      color: colours.muted,
      "text-background-color": colours.paper,
      "text-background-opacity": 0.85,
      "text-background-padding": 2,
    },
  },
  { selector: "edge[?isPossible]", style: { "line-style": "dashed" } },
  {
    selector: ".is-found",
    style: { "outline-width": 3, "outline-color": colours.found, "outline-style": "dashed" },
  },
  { selector: ".is-dim", style: { opacity: 0.25 } },
  {
    selector: "edge.is-on-path",
    style: { width: 4, "line-color": colours.focus, "target-arrow-color": colours.focus },
  },
  { selector: "node.is-on-path", style: { "outline-width": 2, "outline-color": colours.focus } },
  {
    selector: "node.is-chosen",
    style: { "outline-width": 4, "outline-color": colours.focus, "outline-style": "solid" },
  },
];
