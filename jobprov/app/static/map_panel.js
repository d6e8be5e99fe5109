// What stands beside the map: the facts of the box that is chosen, what it holds, and what can be
// done with it. All text is set as text.
"use strict";

const LISTED = 30;

const make = (name, text, attributes = {}) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

const link = (words, address) =>
  address ? make("a", words, { href: address }) : make("span", words);

const button = (words, act) => {
  const made = make("button", words, { type: "button" });
  made.addEventListener("click", act);
  return made;
};

// The first of many; those that hold the words of the search before the others.
const list = (title, items, more, words) => {
  const section = make("div");
  section.append(make("h3", title));
  const rows = make("ul", "", { class: "hits" });
  const isHit = ([name]) => words && name.toLowerCase().includes(words);
  const ordered = [...items.filter(isHit), ...items.filter((item) => !isHit(item))];
  for (const item of ordered.slice(0, LISTED)) {
    const row = make("li", "", { class: isHit(item) ? "name is-found" : "name" });
    row.append(link(item[0], item[1]));
    rows.append(row);
  }
  const left = Math.max(0, items.length - LISTED) + more;
  if (left) rows.append(make("li", `and ${left} more`, { class: "quiet" }));
  section.append(rows);
  return section;
};

const facts = (rows) => {
  const listed = make("dl", "", { class: "facts" });
  for (const [name, value, address] of rows) {
    const row = make("div"),
      said = make("dd");
    said.append(link(value, address));
    row.append(make("dt", name), said);
    listed.append(row);
  }
  return listed;
};

// In words, for those who hear it.
export const spoken = (box) => {
  const state = box.state ? `${box.state}, ` : "";
  const shared = box.badge ? `, shares ${box.badge}` : "";
  return `${state}${box.name || box.label}${box.detail ? `, ${box.detail}` : ""}${shared}${box.is_folded && box.open ? ", folded" : ""}`;
};

// `acts`: open(handle), close(handle), start(), end(), forget(); `path`: {start, end, words}, what
// is known of the path; `words`: what is searched, in small letters.
export const showBox = (panel, box, path, acts, words) => {
  const actions = make("p", "", { class: "actions" });
  if (box.open) actions.append(button("Open", () => acts.open(box.open)));
  if (box.close) actions.append(button("Fold", () => acts.close(box.close)));
  if (box.url && box.action)
    actions.append(make("a", box.action, { class: "button", href: box.url }));
  if (box.lineage && !box.is_focus)
    actions.append(make("a", "Lineage of this file", { href: box.lineage }));
  const way = make("p", "", { class: "actions" });
  if (path.start && path.start !== box.id && path.end !== box.id)
    way.append(button("Show the way to here", acts.end));
  if (path.start !== box.id) way.append(button("Start a path here", acts.start));
  if (path.start) way.append(button("Forget the path", acts.forget));
  panel.replaceChildren(
    make("h3", box.name || box.label, { class: "name", tabindex: "-1" }),
    actions,
  );
  if (path.words) panel.append(make("p", path.words, { class: "note" }));
  panel.append(facts(box.facts || []), way);
  if (box.members) panel.append(list("Holds", box.members, box.more || 0, words));
  if (box.shared) panel.append(list("Shared inputs", box.shared, 0, words));
};
