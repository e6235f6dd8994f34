// Who or what it is: a photo, the answer in words, and the evidence side by side.

import { button, during, el, labelled, picture, say } from "./dom.js";
import { may, session, thumbnail, withImages } from "./server.js";
import { offer } from "./enrol.js";
import { occlusion } from "./occlusion.js";
import { fileName, photos } from "./photo.js";
import { offered, rate, same, share, similarity, verdict, warning } from "./words.js";

const MARKS = { this: "✓", doubtful: "?", unknown: "✗", undecided: "–" };
const SHOWN = 5;

export async function recognise(place) {
  const result = el("section", { class: "result", "aria-label": "Answer" });
  place.append(
    el("h1", {}, "Who or what is it?"),
    photos("Image to search with", ([file]) => during(result, () => search(file, result))),
    ...rateChooser(),
    result,
  );
}

// Which rate decides the next searches of this tab; nothing where no rate is known.
export function rateChooser() {
  const { points, point: usual } = session.about.decides, every = offered(points, usual);
  if (!every.length) return [];
  const choice = el("select", {}, ...every.map(point => usual && same(point, usual)
    ? el("option", { value: "" }, `${share(point)} (usual)`) : el("option", { value: point.fpir }, share(point))));
  if (!choice.querySelector("[value='']")) choice.prepend(el("option", { value: "" }, "not known (usual)"));
  choice.value = session.fpir ?? "";
  choice.addEventListener("change", () => {
    session.fpir = choice.value || null;
  });
  return [labelled("How many strangers may be taken for somebody", choice)];
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
    ...[...decided.reasons, warning(answer), ...answer.notes].filter(Boolean).map(text => el("p", { class: "reason" }, text)),
    ...[rate(answer)].filter(Boolean).map(text => el("details", {}, el("summary", {}, "How sure?"), el("p", {}, text))),
    evidence(file, hits),
    actions(file, hits, decided.kind === "this" ? answer.queries[0].decision.identity : ""),
  );
  say(`${decided.headline}. ${decided.reasons.join(" ")}`);
}

// The query beside the closest enrolled ones.
function evidence(file, hits) {
  const query = el("figure", { class: "query" }, picture(file, "The image you asked about"), el("figcaption", {}, "your image"));
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

function actions(file, hits, identity) {
  const why = el("div", { class: "why" });
  const row = el("div", { class: "actions" });
  if (hits.length) {
    row.append(button(`Why ${hits[0].identity}?`, () => occlusion(why, file, hits[0].identity)));
  }
  if (may("enrol")) {
    row.append(button("Enrol this image", () => {
      offer(file);
      location.hash = identity ? `#enrol/${encodeURIComponent(identity)}` : "#enrol";
    }, { class: "quiet", title: fileName(file) }));
  }
  return el("div", {}, row, why);
}
