// Two images: the same one or not, at every measured rate.

import { during, el, picture, say } from "./dom.js";
import { session, withImages } from "./server.js";
import { fileName, photos } from "./photo.js";
import { NO_THRESHOLDS, count, similarity } from "./words.js";

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
  const { kind, mark, headline, why } = judged(measured, cosine);
  result.append(
    el("h2", { class: `answer ${kind}` }, el("span", { "aria-hidden": "true" }, mark), ` ${headline}`),
    el("p", {}, `Similarity ${similarity(cosine)}. ${why}`), table(measured, cosine));
  say(`${headline}. Similarity ${similarity(cosine)}. ${why}`);
}

const STRICT = 0.01; // a test that more of the different pairs pass proves nothing

// The verdict on a similarity, by thresholds from the laxest to the strictest. It decides as a check
// of a claim does: at the strictest rate that still accepts half of the equal pairs.
export function judged(measured, cosine) {
  if (!measured.length) return { kind: "undecided", mark: "–", headline: "No decision", why: NO_THRESHOLDS };
  const accepting = measured.filter(one => one.tar === null || one.tar >= 0.5), usual = accepting.at(-1) ?? measured[0];
  const decides = usual.far <= STRICT ? usual : measured.find(one => one.far <= STRICT);
  const passed = measured.filter(one => cosine >= one.threshold), strictest = passed.at(-1);
  if (!strictest) {
    return { kind: "unknown", mark: "✗", headline: "Not the same", why: `They fail even the test that ${count(measured[0].far)} pairs of different ones pass.` };
  }
  if (decides && cosine >= decides.threshold) {
    return { kind: "this", mark: "✓", headline: "Taken for the same", why: `Of pairs of different ones only ${count(strictest.far)} are so similar.` };
  }
  const next = measured.find(one => cosine < one.threshold);
  const failed = next ? ` They fail the stricter one, which ${count(next.far)} pass.` : " No stricter one was measured.";
  return { kind: "doubtful", mark: "?", headline: "Doubtful", why: `They pass a test that ${count(strictest.far)} pairs of different ones pass, too.${failed}` };
}

function table(measured, cosine) {
  if (!measured.length) return null;
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Decision at each rate" }, el("table", {},
    el("thead", {}, el("tr", {}, ...["different pairs accepted", "threshold", "these two"].map(text => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...measured.map(one => el("tr", {}, el("th", { scope: "row" }, count(one.far)),
      el("td", {}, similarity(one.threshold)), el("td", {}, cosine >= one.threshold ? "✓ same" : "✗ not the same"))))));
}
