// Three comforts; every page is whole without them. Times in the reader's zone, with UTC in the tooltip; "/" goes to the search box;
// a far branch of a tree comes when it is opened.
"use strict";
const inZone = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const isUtc = new Date().getTimezoneOffset() === 0;
const showTimes = () => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.textContent = inZone.format(moment);
  }
};
if (!isUtc) {
  showTimes();
  document.addEventListener("jobprov:times", showTimes);
  const zone = document.querySelector(".zone");
  if (zone) zone.textContent = `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}, UTC on hover`;
}
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("q").focus();
  }
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
document.addEventListener("toggle", (event) => {
  const link = event.target.open && event.target.matches(".is-far") && event.target.querySelector(":scope > ul > li > a[data-branch]");
  if (link) bringBranch(link);
}, true);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-branch]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  bringBranch(link);
});
