// Comforts; every page is whole without them. Times in the reader's zone, with UTC in the tooltip;
// "/" goes to the search box; a far branch of a tree comes when it is opened; words are explained
// by hover besides tap and key; commands are copied by a button.
"use strict";
const toMinute = {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
};
const inZone = new Intl.DateTimeFormat(undefined, toMinute);
const inZoneToSecond = new Intl.DateTimeFormat(undefined, { ...toMinute, second: "2-digit" });
const isUtc = new Date().getTimezoneOffset() === 0;
const showTimes = () => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    const zoned = "seconds" in time.dataset ? inZoneToSecond : inZone;
    if (!Number.isNaN(moment.getTime())) time.textContent = zoned.format(moment);
  }
};
if (!isUtc) {
  showTimes();
  document.addEventListener("jobprov:times", showTimes);
  const zone = document.querySelector(".zone");
  if (zone)
    zone.textContent = `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}, UTC on hover`;
}
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("q").focus();
  }
});
// Who comes back to a list by the browser's button finds in its filters what the list shows, not
// what was typed in before leaving. Ticks of jobs stay.
addEventListener("pageshow", (event) => {
  const [arrival] = performance.getEntriesByType("navigation");
  if (!event.persisted && arrival?.type !== "back_forward") return;
  for (const form of document.querySelectorAll("form.filters")) form.reset();
});
const bringBranch = async (link) => {
  const row = link.parentElement;
  const address = new URL(link.href);
  address.searchParams.set("piece", "1");
  row.setAttribute("aria-busy", "true");
  const answer = await fetch(address).catch(() => null);
  if (!answer || !answer.ok) return location.assign(link.href);
  const came = document.createElement("template");
  came.innerHTML = await answer.text();
  const hadFocus = document.activeElement === link;
  const first = came.content.querySelector("a, summary");
  row.replaceWith(came.content);
  if (hadFocus && first) first.focus();
};
document.addEventListener(
  "toggle",
  (event) => {
    const link =
      event.target.open &&
      event.target.matches(".is-far") &&
      event.target.querySelector(":scope > ul > li > a[data-branch]");
    if (link) bringBranch(link);
  },
  true,
);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-branch]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  bringBranch(link);
});
// A note that hover opened closes when the pointer has left word and note; a click on its word
// keeps it open.
{
  let hovered = null,
    due = 0;
  const noteOf = (word) => document.getElementById(word.getAttribute("popovertarget"));
  const close = () => {
    if (hovered && hovered.matches(":popover-open")) hovered.hidePopover();
    hovered = null;
  };
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse") return;
    const word = event.target.closest(".term"),
      note = event.target.closest(".explained");
    if (note && note === hovered) return clearTimeout(due);
    clearTimeout(due);
    if (!word) {
      if (hovered) due = setTimeout(close, 250);
      return;
    }
    const wanted = noteOf(word);
    if (wanted.matches(":popover-open")) return;
    due = setTimeout(() => {
      close();
      wanted.showPopover({ source: word });
      hovered = wanted;
    }, 250);
  });
  document.addEventListener("click", (event) => {
    const word = event.target.closest(".term");
    clearTimeout(due);
    if (!word || noteOf(word) !== hovered) return;
    event.preventDefault();
    hovered = null;
  });
}
// A figure is painted at three times its size, for programs that take no SVG.
const PAINTED = 3;
const savePainted = async (link) => {
  const picture = new Image();
  picture.src = link.href;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = PAINTED * picture.naturalWidth;
  canvas.height = PAINTED * picture.naturalHeight;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const saved = document.createElement("a");
  saved.href = canvas.toDataURL("image/png");
  saved.download = link.download;
  saved.click();
};
for (const link of document.querySelectorAll("a[data-png]")) {
  link.hidden = false;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    savePainted(link);
  });
}
// What is typed into a shell, and ids, are copied whole.
if (navigator.clipboard) {
  const DRAWING =
    '<svg viewBox="0 0 16 16" aria-hidden="true"><rect x="5.5" y="5.5" width="9" height="9" rx="1.5"/><path d="M3.5 10.5h-1a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1h7a1 1 0 0 1 1 1v1"/></svg>';
  const copyButton = (text, isSmall = false) => {
    const button = document.createElement("button");
    const name = (word) => {
      button.title = word;
      if (isSmall) button.setAttribute("aria-label", word);
      else button.textContent = word;
    };
    button.type = "button";
    button.className = isSmall ? "copy is-small" : "copy";
    if (isSmall) button.innerHTML = DRAWING;
    name("Copy");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text).then(
        () => name("Copied"),
        () => name("Not allowed"),
      );
      button.classList.toggle("is-copied", button.title === "Copied");
      setTimeout(() => {
        name("Copy");
        button.classList.remove("is-copied");
      }, 2000);
    });
    return button;
  };
  const addButtons = () => {
    for (const block of document.querySelectorAll("pre.command, .manual-text pre")) {
      if (block.querySelector(".copy")) continue;
      const button = copyButton(block.textContent);
      block.classList.add("has-copy");
      block.append(button);
    }
    for (const code of document.querySelectorAll("code.command, code.whole"))
      if (!code.nextElementSibling?.matches(".copy"))
        code.after(copyButton(code.textContent, true));
  };
  addButtons();
  document.addEventListener("jobprov:times", addButtons);
}
