// What the address says of the map goes on where the same history is asked for in another way.
"use strict";

// Other directions and depths of a history keep these; what is opened they fold, since their boxes
// are others.
const KEPT = ["find", "at", "start", "end"];

export const carry = (words, bar) => {
  bar.querySelector("[data-do=fold]").hidden = !words.has("expanded");
  for (const link of document.querySelectorAll(".choices a")) {
    const address = new URL(link.href);
    for (const name of KEPT)
      words.has(name)
        ? address.searchParams.set(name, words.get(name))
        : address.searchParams.delete(name);
    link.href = address;
  }
  const form = document.querySelector("form.filters");
  for (const name of form ? KEPT : []) {
    form.querySelector(`input[type=hidden][name=${name}]`)?.remove();
    if (words.has(name))
      form.append(
        Object.assign(document.createElement("input"), {
          type: "hidden",
          name,
          value: words.get(name),
        }),
      );
  }
};
