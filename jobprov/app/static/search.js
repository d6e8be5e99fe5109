// The search box answers as you type: hits of GET /api/v1/search in a list below it, by kind with
// counts, reached by arrow keys, left by Escape. Without this file the form goes to the page of
// results. Source: WAI-ARIA Authoring Practices, combobox with a list.
"use strict";
const suggestTo = (box) => {
  const list = document.createElement("ul");
  list.id = "hits";
  list.className = "suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Found");
  list.hidden = true;
  box.after(list);
  for (const [name, value] of Object.entries({
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": "hits",
    "aria-autocomplete": "list",
  }))
    box.setAttribute(name, value);

  const MOST = 11;
  const amount = (count, hasMore) =>
    `${hasMore ? "more than " : ""}${count.toLocaleString("en").replaceAll(",", "\u202f")}`;
  const worded = ({ kind, count, has_more }) => `${kind} ${amount(count, has_more)}`;
  let waiting = 0,
    asked = new AbortController(),
    chosen = -1;

  const show = (isOpen) => {
    list.hidden = !isOpen;
    box.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) choose(-1);
  };
  const choose = (place) => {
    const options = list.children;
    chosen = place < -1 ? options.length - 1 : place >= options.length ? -1 : place;
    for (const [number, option] of [...options].entries())
      option.setAttribute("aria-selected", String(number === chosen));
    if (chosen >= 0) {
      box.setAttribute("aria-activedescendant", options[chosen].id);
      options[chosen].scrollIntoView({ block: "nearest" });
    } else box.removeAttribute("aria-activedescendant");
  };
  const option = (hit, number) => {
    const item = document.createElement("li"),
      name = document.createElement("span"),
      what = document.createElement("span");
    item.id = `hit-${number}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.dataset.url = hit.url;
    name.className = "name";
    name.textContent = hit.text;
    what.className = "quiet";
    what.textContent = ` ${hit.kind}${hit.detail ? `, ${hit.detail}` : ""}`;
    item.append(name, what);
    return item;
  };
  const meant = (hit) => ({ ...hit, kind: `did you mean this ${hit.kind}?`, detail: "" });
  const ask = async () => {
    asked.abort();
    asked = new AbortController();
    const words = box.value.trim();
    if (words.length < 2) return show(false);
    const answer = await fetch(`/api/v1/search?limit=5&q=${encodeURIComponent(words)}`, {
      signal: asked.signal,
    }).catch(() => null);
    if (!answer || !answer.ok || box.value.trim() !== words) return;
    const { hits, counts, near } = await answer.json();
    const shown = (hits.length ? hits : near.map(meant)).slice(0, MOST),
      found = counts.reduce((sum, { count }) => sum + count, 0);
    const more = counts.some(({ has_more }) => has_more);
    if (found > shown.length)
      shown.push({
        text: `All results: ${amount(found, more)}`,
        kind: counts.map(worded).join(", "),
        detail: "",
        url: `/search?all=1&q=${encodeURIComponent(words)}`,
      });
    list.replaceChildren(...shown.map(option));
    show(shown.length > 0 && document.activeElement === box);
    choose(-1);
  };

  box.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 150);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) return;
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && chosen >= 0 && !list.hidden) {
      event.preventDefault();
      location.assign(list.children[chosen].dataset.url);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      show(false);
    }
  });
  box.addEventListener("blur", () => show(false));
  list.addEventListener("mousedown", (event) => {
    const item = event.target.closest("li");
    if (!item) return;
    event.preventDefault();
    location.assign(item.dataset.url);
  });
};
{
  const box = document.getElementById("q");
  if (!("plain" in box.dataset)) suggestTo(box);
}
