// The steps of the table as stacked bars, or as boxes where distributions are told, with a line
// where something changed; dragging across them leads to the page of that time. Without this the
// table says all.
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
  const nameOf = (answer, group) =>
    group.name || (group === answer.others ? "others" : `no ${answer.by}`);

  // What queues had is null where nobody knows
  const amountsOf = (group) => group.at_once || group.amounts;
  // uPlot lays series over each other: the highest sum first, so that each shows what it adds
  const stack = (answer) => {
    const groups = answer.others ? [...answer.groups, answer.others] : answer.groups;
    const layers = [];
    let sums = answer.starts.map(() => 0);
    groups.forEach((group, number) => {
      sums = sums.map((sum, step) =>
        amountsOf(group)[step] === null ? null : sum + amountsOf(group)[step],
      );
      layers.unshift({ group, sums, fill: colourOf(answer, number) });
    });
    return layers;
  };

  const UNITS = {
    max_rss_bytes: [
      [1e12, "TB"],
      [1e9, "GB"],
      [1e6, "MB"],
      [1e3, "kB"],
      [1, "B"],
    ],
    wall_seconds: [
      [86400, "d"],
      [3600, "h"],
      [60, "min"],
      [1, "s"],
    ],
  };
  const amountText = (answer, value) => {
    if (value === null || value === undefined) return "";
    const units = answer.groups.some((group) => group.spread) ? UNITS[answer.measure] : undefined;
    const [size, unit] = (units || []).find(([least]) => value >= least) || [1, ""];
    const digits = value < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 };
    return `${(value / size).toLocaleString(undefined, digits)}${unit && " "}${unit}`;
  };

  const axis = () => ({
    stroke: colour("--muted"),
    grid: { stroke: colour("--hair"), width: 1 },
    ticks: { stroke: colour("--hair") },
    font: "12px system-ui, sans-serif",
  });
  // Each row: ticks this far apart, what all of them say, then what the first of a year, a month or
  // a day adds; 1: to the rest
  const DAY = 86400;
  const dates = [
    [365 * DAY, "{YYYY}", null, null, null, null, null, null, 1],
    [28 * DAY, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [DAY, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    // Without the year: the first tick of all may stand beside the first of the next day
    [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  ];
  const show = (time) => {
    const address = new URL(location.href);
    const text = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
    for (const name of ["since", "step", "section", "from"]) address.searchParams.delete(name);
    address.searchParams.set("ended_after", text(time.from));
    address.searchParams.set("ended_before", text(time.to));
    location.assign(address);
  };
  const barsOf = (answer) => {
    const layers = stack(answer);
    const series = layers.map((layer) => ({
      label: nameOf(answer, layer.group),
      fill: layer.fill,
      stroke: layer.fill,
      width: 0,
      paths: uPlot.paths.bars({ size: [0.92, Infinity], align: 1 }),
      points: { show: false },
      value: (_chart, _sum, _series, step) =>
        step === null || step === undefined ? "" : amountText(answer, amountsOf(layer.group)[step]),
    }));
    return { series, data: layers.map((layer) => layer.sums) };
  };
  // Of each group and step a box from p10 to p90 with a line at the median, side by side
  const boxesOf = (answer) => {
    const groups = answer.others ? [...answer.groups, answer.others] : answer.groups;
    const boxes = groups.map((group, number) => ({
      ...group.spread,
      name: nameOf(answer, group),
      fill: colourOf(answer, number),
    }));
    const words = (box, step) =>
      step === null || step === undefined || box.median[step] === null
        ? ""
        : `${amountText(answer, box.median[step])} (${amountText(answer, box.p10[step])} to ${amountText(answer, box.p90[step])}, at most ${amountText(answer, box.largest[step])})`;
    const series = boxes.map((box) => ({
      label: box.name,
      stroke: box.fill,
      fill: box.fill,
      width: 0,
      paths: () => null,
      points: { show: false },
      value: (_chart, _value, _series, step) => words(box, step),
    }));
    const drawBoxes = (chart) => {
      const step =
        chart.valToPos(Date.parse(answer.start) / 1000 + answer.step_seconds, "x", true) -
        chart.valToPos(Date.parse(answer.start) / 1000, "x", true);
      const width = Math.max(1, (0.92 * step) / boxes.length);
      const thick = 2 * devicePixelRatio;
      boxes.forEach((box, number) => {
        chart.ctx.fillStyle = box.fill;
        box.median.forEach((median, place) => {
          if (median === null) return;
          const left = chart.valToPos(chart.data[0][place], "x", true) + number * width;
          const [top, middle, bottom] = [box.p90[place], median, box.p10[place]].map((value) =>
            chart.valToPos(value, "y", true),
          );
          chart.ctx.globalAlpha = 0.35;
          chart.ctx.fillRect(left, top, width, bottom - top);
          chart.ctx.globalAlpha = 1;
          chart.ctx.fillRect(left, middle - thick / 2, width, thick);
        });
      });
    };
    return { series, data: boxes.map((box) => box.p90), drawBoxes };
  };
  // What changed: a thin line with its letter, a row lower where the letter before is too near
  const drawMarks = (answer) => (chart) => {
    const { ctx, bbox } = chart;
    const size = 12 * devicePixelRatio;
    const rows = [];
    const marks = (answer.marks || []).map((mark) => ({
      letter: mark.letter,
      x: Math.round(chart.valToPos(Date.parse(mark.at) / 1000, "x", true)),
    }));
    ctx.save();
    ctx.font = `600 ${size}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    for (const { letter, x } of marks.sort((one, other) => one.x - other.x)) {
      const free = rows.findIndex((end) => end < x - 1.4 * size);
      const row = free < 0 ? rows.length : free;
      rows[row] = x;
      const top = bbox.top + row * 1.2 * size;
      ctx.fillStyle = colour("--ink");
      ctx.fillRect(
        x,
        top + 1.2 * size,
        Math.max(1, devicePixelRatio),
        bbox.height - (top - bbox.top) - 1.2 * size,
      );
      ctx.fillStyle = colour("--paper");
      ctx.fillRect(x - 0.6 * size, top, 1.2 * size, 1.2 * size);
      ctx.fillStyle = colour("--ink");
      ctx.fillText(letter, x, top + 0.1 * size);
    }
    ctx.restore();
  };
  // Durations are counted in sixties
  const INCREMENTS = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
    172800, 604800, 1209600,
  ];
  // What is drawn ends below the letters of marks, of which three rows have room
  const roomAbove = (answer) => (answer.marks && answer.marks.length ? 1.3 : 1.05);
  const options = (answer, drawn) => ({
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
    scales: {
      x: { range: () => [Date.parse(answer.start) / 1000, Date.parse(answer.end) / 1000] },
      y: { range: (_chart, _low, high) => [0, high > 0 ? high * roomAbove(answer) : 1] },
    },
    axes: [
      { ...axis(), values: dates },
      {
        ...axis(),
        size: 64,
        ...(answer.measure === "wall_seconds" ? { incrs: INCREMENTS } : {}),
        values: (_chart, splits) => splits.map((value) => amountText(answer, value)),
      },
    ],
    series: [{ label: "From", value: "{D} {MMM} {YYYY} {HH}:{mm}" }, ...drawn.series],
    hooks: {
      draw: [...(drawn.drawBoxes ? [drawn.drawBoxes] : []), drawMarks(answer)],
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width > 4)
            show({
              from: Math.floor(chart.posToVal(left, "x")),
              to: Math.ceil(chart.posToVal(left + width, "x")),
            });
        },
      ],
    },
  });

  const draw = (answer) => {
    const drawn = answer.groups.some((group) => group.spread) ? boxesOf(answer) : barsOf(answer);
    const times = answer.starts.map((start) => Date.parse(start) / 1000);
    place.replaceChildren();
    return new uPlot(options(answer, drawn), [times, ...drawn.data], place);
  };

  const start = async () => {
    const response = await fetch(place.dataset.chart);
    if (!response.ok) return;
    const answer = await response.json();
    let chart = draw(answer);
    place.setAttribute("role", "img");
    place.setAttribute(
      "aria-label",
      `${answer.measure.replaceAll("_", " ")} over time by ${answer.by}; the table below has the numbers`,
    );
    document.querySelector(".chart-help").hidden = false;
    new ResizeObserver(() => {
      if (chart.width !== place.clientWidth)
        chart.setSize({ width: place.clientWidth, height: HEIGHT });
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      chart = draw(answer);
    });
  };
  start();
})();
