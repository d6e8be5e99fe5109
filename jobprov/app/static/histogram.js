// What a bar of a histogram says, in words below it: by pointing, or by the arrow keys. Without
// this the bars say it as tooltips.
"use strict";
for (const plot of document.querySelectorAll(".distribution")) {
  const bars = [...plot.querySelectorAll("rect")];
  const words = bars.map((bar) => bar.textContent.trim());
  const said = plot.querySelector(".bin");
  let chosen = Number(plot.dataset.highest);
  const show = (place) => {
    chosen = Math.min(Math.max(place, 0), bars.length - 1);
    for (const bar of plot.querySelectorAll(".is-chosen")) bar.classList.remove("is-chosen");
    bars[chosen].classList.add("is-chosen");
    said.textContent = words[chosen];
    plot.setAttribute("aria-valuenow", chosen + 1);
    plot.setAttribute("aria-valuetext", words[chosen]);
  };
  const hide = () => {
    bars[chosen].classList.remove("is-chosen");
    said.textContent = "";
  };
  for (const bar of bars) bar.replaceChildren(); // the tooltip would say it twice
  plot.querySelector("svg").setAttribute("aria-hidden", "true");
  for (const [name, value] of [
    ["role", "slider"],
    ["tabindex", 0],
    ["aria-label", plot.dataset.label],
    ["aria-valuemin", 1],
    ["aria-valuemax", bars.length],
  ])
    plot.setAttribute(name, value);
  plot.setAttribute("aria-valuenow", chosen + 1);
  plot.setAttribute("aria-valuetext", words[chosen]);
  plot.addEventListener("pointermove", (event) => {
    const place = bars.indexOf(event.target);
    if (place >= 0) show(place);
  });
  plot.addEventListener("pointerleave", () => {
    if (document.activeElement !== plot) hide();
  });
  plot.addEventListener("focus", () => show(chosen));
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const steps = {
      ArrowLeft: chosen - 1,
      ArrowDown: chosen - 1,
      ArrowRight: chosen + 1,
      ArrowUp: chosen + 1,
      Home: 0,
      End: bars.length - 1,
    };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(steps[event.key]);
  });
}
