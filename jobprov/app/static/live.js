// A page of something that is under way brings itself up to date: htmx fetches it and morphs what
// changed, so that nothing flickers, what was opened stays open and a selection survives. Not while
// nobody looks.
"use strict";
document.addEventListener("htmx:before:request", (event) => {
  if (document.hidden || window.getSelection().type === "Range") event.preventDefault();
});
document.addEventListener("htmx:after:swap", () => {
  document.dispatchEvent(new Event("jobprov:times"));
  document.querySelector("link[rel=icon]").href = document.getElementById("main").dataset.icon;
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) htmx.trigger("#main", "look");
});
