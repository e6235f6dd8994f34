// The calibration: what a threshold means, as a curve, a table and in words.

import { el } from "./dom.js";
import { here, session } from "./server.js";
import { curve } from "./curve.js";
import { rateChooser } from "./recognise.js";
import { NO_THRESHOLDS, count, criterion, offered, same, share, similarity } from "./words.js";

export async function rates(place) {
  const said = await here("calibration", { query: { fpir: session.fpir } });
  place.append(el("h1", {}, "What the threshold means"));
  if (!said.point) {
    place.append(el("p", {}, session.about.size.templates
      ? NO_THRESHOLDS
      : "Nobody is enrolled yet, so there is nothing to decide."));
    return;
  }
  const points = offered(said.points, said.point);
  const alike = points.filter(one => one.neighbours === said.point.neighbours); // one scale
  place.append(
    el("p", { class: "lead" }, `A search answers ${criterion(said.point)}: ${said.promise}.`),
    ...(said.outgrown ? [el("p", { class: "problem" }, "The gallery has outgrown its calibration: calibrate it again, so that its rates hold.")] : []),
    el("p", {}, "A higher threshold answers fewer strangers, and finds fewer of the enrolled. The rates are measured with images of identities that the model was not made with, and hold where yours are of that kind."),
    ...rateChooser());
  if (alike.length > 1) place.append(curve(alike, said.point));
  if (points.length) place.append(table(points, said.point));
  place.append(el("p", { class: "help" }, [basis(said), session.about.model, session.about.licence].filter(Boolean).join(" · ")));
  place.querySelector("select")?.addEventListener("change", () => {
    place.replaceChildren();
    rates(place);
  });
}

function basis(said) {
  if (said.point.in_this_gallery) return `Measured against this gallery with ${said.calibration.measured_on}`;
  return said.measured_on ? `Measured on ${said.measured_on}` : "Measured with galleries of other identities";
}

function table(points, chosen) {
  const heads = ["threshold", "strangers answered", "enrolled found"];
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rates at each threshold" }, el("table", {},
    el("caption", {}, "Below each rate its 95 % interval"),
    el("thead", {}, el("tr", {}, ...heads.map(text => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...points.map(one => el("tr", { "aria-current": same(one, chosen) && "true" },
      el("th", { scope: "row" }, ...lines(similarity(one.threshold), one.neighbours ? `above the next ${one.neighbours}` : "", same(one, chosen) ? "← in use" : "")),
      el("td", {}, ...lines(share(one), percent(...one.fpir_interval))),
      el("td", {}, ...(one.dir ? lines(`about ${count(one.dir[0])}`, percent(one.dir[1], one.dir[2])) : ["not measured"])))))));
}

function lines(first, ...others) {
  return [first, ...others.filter(Boolean).map(text => el("span", { class: "below" }, text))];
}

function percent(low, high) {
  const shown = value => value < 0.1 ? Number((100 * value).toPrecision(2)) : Math.round(100 * value);
  return low === 0 && high === 1 ? "not known" : `${shown(low)} – ${shown(high)} %`;
}
