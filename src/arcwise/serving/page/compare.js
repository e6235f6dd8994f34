// Two images: the same one or not, at every measured rate.

import { during, el, picture, say } from "./dom.js";
import { session, withImages } from "./server.js";
import { fileName, photos } from "./photo.js";
import { count, similarity } from "./words.js";

export async function compare(place) {
  const files = [null, null], result = el("section", { class: "result", "aria-label": "Answer" });
  const sides = ["First image", "Second image"].map((words, side) => {
    const shown = el("span", { class: "picture" }, el("span", { class: "none" }, "no image yet"));
    return el("section", { class: "side", "aria-label": words }, el("h2", {}, words), shown, photos(words, ([file]) => {
      files[side] = file;
      shown.replaceChildren(picture(file, `${words}: ${fileName(file)}`).firstChild);
      if (files.every(Boolean)) during(result, () => decide(files, result));
    }));
  });
  place.append(el("h1", {}, "Are these two the same?"), el("div", { class: "sides" }, ...sides), result);
}

async function decide(files, result) {
  result.replaceChildren();
  const answer = await withImages("embed", files);
  if (answer.failures.length) throw { message: "An image cannot be used", images: answer.failures };
  const [a, b] = answer.vectors, cosine = a.reduce((sum, value, place) => sum + value * b[place], 0);
  const measured = session.about.decides.thresholds.filter(one => one.resolved).sort((x, y) => y.far - x.far);
  const passed = measured.filter(one => cosine >= one.threshold), strictest = passed.at(-1);
  const headline = !measured.length ? "No decision: the model has no thresholds"
    : strictest ? "Taken for the same" : "Not the same";
  const why = !measured.length ? "" : strictest
    ? `Even at a threshold that only ${count(strictest.far)} pairs of different ones reach.`
    : `Not even at a threshold that ${count(measured[0].far)} pairs of different ones reach.`;
  result.append(
    el("h2", { class: `answer ${strictest ? "this" : measured.length ? "unknown" : "undecided"}` },
      el("span", { "aria-hidden": "true" }, strictest ? "✓" : measured.length ? "✗" : "–"), ` ${headline}`),
    el("p", {}, `Similarity ${similarity(cosine)}. ${why}`), table(measured, cosine));
  say(`${headline}. Similarity ${similarity(cosine)}. ${why}`);
}

function table(measured, cosine) {
  if (!measured.length) return null;
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Decision at each rate" }, el("table", {},
    el("thead", {}, el("tr", {}, ...["different pairs accepted", "threshold", "these two"].map(text => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...measured.map(one => el("tr", {}, el("th", { scope: "row" }, count(one.far)),
      el("td", {}, similarity(one.threshold)), el("td", {}, cosine >= one.threshold ? "✓ same" : "✗ not the same"))))));
}
