// The search in the picture: which boxes and which rows of the table hold the words. Every member of a stack is searched, not only
// those that are listed.
"use strict";

const textsOf = (box) => [box.label, box.detail, box.title, box.badge, ...(box.facts || []).map((fact) => fact[1]), ...(box.members || []).map((one) => one[0]), ...(box.shared || []).map((one) => one[0])];

export class Search {
  // `rows` are those of the table.
  constructor(rows) {
    this.rows = [...rows].map((row) => ({ row, text: `${row.textContent}\n${row.dataset.name || ""}`.toLowerCase() }));
    this.texts = new WeakMap();
  }

  // Ids of the boxes that hold the words, none where there are none.
  boxes(view, words) {
    if (!words) return [];
    return view.boxes.filter((box) => this.textOf(box).includes(words)).map((box) => box.id);
  }

  textOf(box) {
    if (!this.texts.has(box)) this.texts.set(box, textsOf(box).filter(Boolean).join("\n").toLowerCase());
    return this.texts.get(box);
  }

  // Hides the rows that do not hold the words; returns how many are left.
  filter(words) {
    let left = 0;
    for (const { row, text } of this.rows) {
      row.hidden = Boolean(words) && !text.includes(words);
      if (!row.hidden) left += 1;
    }
    return left;
  }

  // What was found, in words; of a picture that leaves something out it says so.
  said(view, found, left) {
    const boxes = `${found || "no"} ${found === 1 ? "box" : "boxes"}`;
    const nodes = view.boxes.reduce((sum, box) => sum + (box.keys?.length || 0), 0);
    const among = view.notes.length && nodes ? `, among the ${nodes} files and jobs shown` : "";
    return `${boxes}${among}${this.rows.length ? `; ${left} of ${this.rows.length} rows below` : ""}`;
  }
}
