// The steps of the table as stacked bars; dragging across them leads to the page of that time. Without this the table says all.
"use strict";
(() => {
  const place = document.querySelector(".chart");
  if (!place) return;
  const HEIGHT = 260;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colourOf = (answer, number) => {
    const group = answer.groups[number];
    if (group && answer.by === "state") return colour(`--${group.name}`);
    return group ? colour(`--series-${(number % 8) + 1}`) : colour("--unknown");
  };
  const nameOf = (answer, group) => group.name || (group === answer.others ? "others" : `no ${answer.by}`);

  // uPlot lays series over each other: the highest sum first, so that each shows what it adds
  const stack = (answer) => {
    const groups = answer.others ? [...answer.groups, answer.others] : answer.groups;
    const layers = [];
    let sums = answer.starts.map(() => 0);
    groups.forEach((group, number) => {
      sums = sums.map((sum, step) => sum + group.amounts[step]);
      layers.unshift({ group, sums, fill: colourOf(answer, number) });
    });
    return layers;
  };

  const axis = () => ({ stroke: colour("--muted"), grid: { stroke: colour("--hair"), width: 1 }, ticks: { stroke: colour("--hair") }, font: "12px system-ui, sans-serif" });
  // Each row: ticks this far apart, what all of them say, then what the first of a year, a month or a day adds; 1: to the rest
  const DAY = 86400;
  const dates = [
    [365 * DAY, "{YYYY}", null, null, null, null, null, null, 1],
    [28 * DAY, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [DAY, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  ];
  const show = (time) => {
    const address = new URL(location.href);
    const text = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
    for (const name of ["since", "step", "section", "from"]) address.searchParams.delete(name);
    address.searchParams.set("ended_after", text(time.from));
    address.searchParams.set("ended_before", text(time.to));
    location.assign(address);
  };
  const options = (answer, layers) => ({
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
    scales: { x: { range: () => [Date.parse(answer.start) / 1000, Date.parse(answer.end) / 1000] }, y: { range: (_chart, _low, high) => [0, high > 0 ? high * 1.05 : 1] } },
    axes: [{ ...axis(), values: dates }, { ...axis(), size: 64 }],
    series: [
      { label: "From", value: "{D} {MMM} {YYYY} {HH}:{mm}" },
      ...layers.map((layer) => ({
        label: nameOf(answer, layer.group),
        fill: layer.fill,
        stroke: layer.fill,
        width: 0,
        paths: uPlot.paths.bars({ size: [0.92, Infinity], align: 1 }),
        points: { show: false },
        value: (_chart, _sum, _series, step) => (step === null || step === undefined ? "" : layer.group.amounts[step].toLocaleString(undefined, { maximumFractionDigits: 2 })),
      })),
    ],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width > 4) show({ from: Math.floor(chart.posToVal(left, "x")), to: Math.ceil(chart.posToVal(left + width, "x")) });
        },
      ],
    },
  });

  const draw = (answer) => {
    const layers = stack(answer);
    const times = answer.starts.map((start) => Date.parse(start) / 1000);
    place.replaceChildren();
    return new uPlot(options(answer, layers), [times, ...layers.map((layer) => layer.sums)], place);
  };

  const start = async () => {
    const response = await fetch(place.dataset.chart);
    if (!response.ok) return;
    const answer = await response.json();
    let chart = draw(answer);
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `${answer.measure.replace("_", " ")} over time by ${answer.by}; the table below has the numbers`);
    document.querySelector(".chart-help").hidden = false;
    new ResizeObserver(() => {
      if (chart.width !== place.clientWidth) chart.setSize({ width: place.clientWidth, height: HEIGHT });
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      chart = draw(answer);
    });
  };
  start();
})();
