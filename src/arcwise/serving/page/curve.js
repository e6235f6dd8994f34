// The rates by threshold, drawn; colours come with dashes and words.

const NS = "http://www.w3.org/2000/svg", WIDTH = 340, HEIGHT = 230, LEFT = 46, RIGHT = 10, TOP = 14, BOTTOM = 34;

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function curve(points, chosen) {
  const ordered = [...points].sort((a, b) => a.threshold - b.threshold);
  const low = ordered[0].threshold, high = ordered.at(-1).threshold, span = high - low || 1;
  const x = value => LEFT + (value - low) / span * (WIDTH - LEFT - RIGHT);
  const y = share => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
  const line = (name, kept, share) => [
    svg("polyline", { class: name, points: kept.map(one => `${x(one.threshold)},${y(share(one))}`).join(" ") }),
    ...kept.map(one => svg("circle", { class: name, cx: x(one.threshold), cy: y(share(one)), r: 3 })),
  ];
  const found = ordered.filter(one => one.dir);
  const ticks = [0, 0.5, 1].flatMap(share => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(share), y2: y(share) }),
    svg("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`),
  ]);
  const at = Math.min(Math.max(chosen.threshold, low), high);
  const words = `Strangers answered and enrolled found, by threshold from ${low.toFixed(2)} to ${high.toFixed(2)}; the table below has the numbers.`;
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words, class: "curve" },
    ...ticks,
    svg("line", { class: "chosen", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }),
    ...line("strangers", ordered, one => one.fpir),
    ...line("found", found, one => one.dir[0]),
    svg("text", { x: LEFT, y: HEIGHT - 18 }, low.toFixed(2)),
    svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 18, "text-anchor": "end" }, high.toFixed(2)),
    svg("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, `threshold (${points[0].neighbours ? `above the mean of the next ${points[0].neighbours}` : "similarity"})`));
  const key = (name, text) => {
    const item = document.createElement("li");
    item.append(svg("svg", { viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": "true" }, svg("line", { class: name, x1: 0, x2: 30, y1: 5, y2: 5 })), ` ${text}`);
    return item;
  };
  const legend = document.createElement("ul");
  legend.className = "legend";
  legend.append(key("strangers", "strangers answered"), ...(found.length ? [key("found", "enrolled found")] : []), key("chosen", "in use"));
  const figure = document.createElement("figure");
  figure.append(drawn, legend);
  return figure;
}
