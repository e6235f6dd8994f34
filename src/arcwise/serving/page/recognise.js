// Who or what it is: a photo, the answer in words, and the evidence side by side.

import { button, during, el, labelled, picture, say } from "./dom.js";
import { may, session, thumbnail, withImages } from "./server.js";
import { offer } from "./enrol.js";
import { occlusion } from "./occlusion.js";
import { fileName, photos } from "./photo.js";
import { comparable, rate, share, similarity, verdict } from "./words.js";

const MARKS = { this: "✓", doubtful: "?", unknown: "✗", undecided: "–" };
const SHOWN = 5;

export async function recognise(place) {
  const result = el("section", { class: "result", "aria-label": "Answer" });
  place.append(
    el("h1", {}, "Who or what is it?"),
    photos("Image to search with", ([file]) => during(result, () => search(file, result))),
    rateChooser(),
    result,
  );
}

// Which rate decides the next searches of this tab.
export function rateChooser() {
  const choice = el("select", {}, el("option", { value: "" }, "as usual"));
  for (const point of comparable(session.about.decides.points)) {
    choice.append(el("option", { value: point.fpir }, share(point)));
  }
  choice.value = session.fpir ?? "";
  choice.addEventListener("change", () => {
    session.fpir = choice.value || null;
  });
  return labelled("Strangers that may get an answer", choice);
}

async function search(file, result) {
  result.replaceChildren(el("p", { class: "answer waiting" }, "Searching…"));
  let answer;
  try {
    answer = await withImages("search", [file], { k: SHOWN, fpir: session.fpir });
    if (answer.queries[0].error) throw { message: answer.queries[0].error };
  } catch (problem) {
    result.replaceChildren();
    throw problem;
  }
  const decided = verdict(answer), { hits } = answer.queries[0];
  result.replaceChildren(
    el("h2", { class: `answer ${decided.kind}` }, el("span", { "aria-hidden": "true" }, MARKS[decided.kind]), ` ${decided.headline}`),
    ...[...decided.reasons, rate(answer), ...answer.notes].filter(Boolean).map(text => el("p", { class: "reason" }, text)),
    evidence(file, hits),
    actions(file, hits),
  );
  say(`${decided.headline}. ${decided.reasons.join(" ")}`);
}

// The query beside the closest enrolled ones.
function evidence(file, hits) {
  const query = el("figure", { class: "query" }, picture(file, "The image you asked about"), el("figcaption", {}, "asked"));
  return el("div", { class: "evidence" }, query, ...hits.map((hit, row) => {
    const frame = el("span", { class: "picture" });
    during(frame, () => fill(frame, hit));
    return el("figure", { class: row ? "" : "closest" }, frame,
      el("figcaption", {}, el("a", { href: `#enrolled/${encodeURIComponent(hit.identity)}` }, hit.identity), el("span", {}, similarity(hit.similarity))));
  }));
}

async function fill(frame, hit) {
  const blob = await thumbnail(hit.template);
  frame.replaceChildren(blob ? picture(blob, `Enrolled image of ${hit.identity}`).firstChild : el("span", { class: "none" }, "no thumbnail is kept"));
}

function actions(file, hits) {
  const why = el("div", { class: "why" });
  const row = el("div", { class: "actions" });
  if (hits.length) {
    row.append(button(`Why ${hits[0].identity}?`, () => occlusion(why, file, hits[0].identity)));
  }
  if (may("enrol")) {
    row.append(button("Enrol this image", () => {
      offer(file);
      location.hash = "#enrol";
    }, { class: "quiet", title: fileName(file) }));
  }
  return el("div", {}, row, why);
}
