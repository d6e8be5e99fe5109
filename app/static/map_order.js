// The order of boxes beside each other. The layout only cares that few lines cross; where as few
// do, the order is the server's, which is that of names: the reader, the keys and the table go
// through the boxes of an opened stack alike.
"use strict";

// Moves what dagre laid out, across the direction of history: `across` is "y" where that runs to
// the right, else "x".
export const putInOrder = (graph, boxes, across) => {
  const ids = boxes.map((box) => box.id),
    columns = grouped(ids, (id) => placeAlong(graph.node(id), across));
  if (disorder(graph, columns, across) > 0) mirror(graph, across);
  for (const alike of grouped(ids, (id) => surroundings(graph, id, across)))
    takeTurns(graph, alike, across);
};

const placeAlong = (node, across) => Math.round(across === "y" ? node.x : node.y);

// Lists of ids that have the same key, each in the order given.
const grouped = (ids, keyOf) => {
  const found = new Map();
  for (const id of ids) found.set(keyOf(id), [...(found.get(keyOf(id)) || []), id]);
  return [...found.values()];
};

// How many more neighbours in a column stand the wrong way round than the right way.
const disorder = (graph, columns, across) =>
  columns
    .flatMap((ids) =>
      ids
        .slice(1)
        .map((id, place) => Math.sign(graph.node(ids[place])[across] - graph.node(id)[across])),
    )
    .reduce((sum, one) => sum + one, 0);

const mirror = (graph, across) => {
  const whole = graph.graph()[across === "y" ? "height" : "width"],
    turn = (point) => (point[across] = whole - point[across]);
  for (const id of graph.nodes()) turn(graph.node(id));
  for (const edge of graph.edges()) graph.edge(edge).points.forEach(turn);
};

// What boxes have alike that may change places, with no line crossing more or less: lines to the
// same others, and their size.
const surroundings = (graph, id, across) => {
  const node = graph.node(id),
    sorted = (some) => [...some].sort().join(" ");
  return [
    placeAlong(node, across),
    node.width,
    node.height,
    sorted(graph.predecessors(id)),
    sorted(graph.successors(id)),
  ].join("\n");
};

const takeTurns = (graph, ids, across) => {
  const slots = ids
    .map((id) => ({
      at: graph.node(id)[across],
      lines: linesOf(graph, id).map((line) => line.points),
    }))
    .sort((one, other) => one.at - other.at);
  ids.forEach((id, place) => {
    graph.node(id)[across] = slots[place].at;
    linesOf(graph, id).forEach((line, number) => (line.points = slots[place].lines[number]));
  });
};

// In an order that is the same for all boxes whose lines lead to the same others.
const linesOf = (graph, id) => [
  ...[...graph.predecessors(id)].sort().map((other) => graph.edge(other, id)),
  ...[...graph.successors(id)].sort().map((other) => graph.edge(id, other)),
];
