// The search in the picture: which boxes and which rows of the table hold the words. Every member
// of a stack is searched, not only those that are listed; and where the picture leaves something
// out, the server is asked for files of the whole history.
"use strict";

const textsOf = (box) => [
  box.label,
  box.detail,
  box.title,
  box.badge,
  ...(box.facts || []).map((fact) => fact[1]),
  ...(box.members || []).map((one) => one[0]),
  ...(box.shared || []).map((one) => one[0]),
];

const LISTED = 8,
  PAUSE = 300;

export class Search {
  // `rows` are those of the table.
  constructor(rows) {
    this.rows = [...rows].map((row) => ({
      row,
      text: `${row.textContent}\n${row.dataset.name || ""}`.toLowerCase(),
    }));
    this.texts = new WeakMap();
  }

  // Ids of the boxes that hold the words, none where there are none.
  boxes(view, words) {
    if (!words) return [];
    return view.boxes.filter((box) => this.textOf(box).includes(words)).map((box) => box.id);
  }

  textOf(box) {
    if (!this.texts.has(box))
      this.texts.set(box, textsOf(box).filter(Boolean).join("\n").toLowerCase());
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

  // Lists in `place` the files of the history that hold the words and that no box has; nothing
  // where the picture has all.
  async listElsewhere(view, words, place) {
    const turn = (this.turn = (this.turn || 0) + 1);
    place.replaceChildren();
    if (!words || !view.notes.length || !location.pathname.startsWith("/lineage/")) return;
    await new Promise((done) => setTimeout(done, PAUSE));
    if (turn !== this.turn) return;
    const address = new URL(location.href);
    address.searchParams.set("sought", words);
    const answer = await fetch(address).catch(() => null);
    const found = answer?.ok ? await answer.json() : null;
    if (turn !== this.turn) return;
    if (!found) return place.replaceChildren("The rest of the history could not be searched.");
    const shown = view.boxes.map((box) => this.textOf(box)).join("\n");
    const files = found.files.filter((file) => !shown.includes(file.name.toLowerCase()));
    if (!files.length && found.count <= found.files.length) return;
    place.append(
      `${found.count} ${found.count === 1 ? "file" : "files"} in the whole history${found.is_truncated ? " as far as it was walked" : ""}`,
    );
    if (files.length) place.append("; not in the picture: ");
    for (const file of files.slice(0, LISTED)) {
      const link = document.createElement("a");
      link.href = file.url;
      link.textContent = file.name;
      link.className = "name";
      place.append(link, " ");
    }
    if (files.length > LISTED || found.count > found.files.length) place.append("and more");
  }
}
