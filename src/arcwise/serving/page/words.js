// Decisions and rates in words.

export function similarity(value) {
  return value.toFixed(3).replace("-", "\u2212");
}

// "about 1 of 100": a share as a count of images.
export function count(rate) {
  if (rate <= 0) return "none";
  const of = rate >= 0.01 ? 100 : 10 ** Math.ceil(-Math.log10(rate) - 1e-9);
  const many = rate * of;
  const shown = many >= 10 || Math.abs(many - Math.round(many)) < 0.05 ? Math.round(many) : many.toFixed(1);
  return `${shown} of ${of.toLocaleString("en")}`;
}

// How many strangers get an answer.
export function share(point) {
  return `${point.exact ? "about" : "at most"} ${count(point.fpir)}`;
}

// Whether its rate is a promise, as `OperatingPoint.promises` says.
export function promises(point) {
  return point.fpir < 0.5 && !("far" in point.basis && point.basis.identities < 10);
}

const OFFERED = [0.1, 0.05, 0.01, 0.001, 1e-4]; // as `arcwise gallery info` lists them, and one more

// What decides at the rates measured in this gallery and at the usual ones, as the server would
// choose, and what is in use: the highest rate first. Of two nearly alike the stricter one stays.
export function offered(points, used) {
  const kept = points.filter(promises).sort((a, b) => b.fpir - a.fpir);
  const own = kept.filter(one => one.in_this_gallery && one.fits);
  const keeps = rate => one => one.fpir <= rate * (1 + 1e-9);
  const chosen = [...own, ...OFFERED.map(rate => own.find(keeps(rate)) ?? kept.find(keeps(rate)))];
  const inUse = used && promises(used) ? kept.find(one => same(one, used)) ?? used : null;
  return [...new Set([...chosen, inUse])].filter(Boolean).sort((a, b) => b.fpir - a.fpir)
    .filter((one, place, every) => one === inUse || own.includes(one) || !(one.fpir < 1.25 * every[place + 1]?.fpir));
}

export function same(one, other) {
  return one.threshold === other.threshold && one.neighbours === other.neighbours && one.fpir === other.fpir;
}

// From where on a search answers.
export function criterion(point) {
  return point.neighbours
    ? `where the closest one is ${similarity(point.threshold)} or more above the mean of the next ${point.neighbours}`
    : `from a similarity of ${similarity(point.threshold)} on`;
}

export const NO_THRESHOLDS = "The model has no thresholds, so nothing decides. Whoever runs the server measures them: arcwise calibrate MODEL DATA.";

// What a search found: "this", "doubtful", "unknown", or "undecided" where nothing decides.
export function verdict(answer) {
  const { decision } = answer.queries[0], { point } = answer;
  if (!decision || !point || decision.similarity === null) {
    const why = answer.size.templates ? NO_THRESHOLDS : "Nobody is enrolled yet.";
    return { kind: "undecided", headline: "No decision", reasons: [why] };
  }
  const closest = answer.queries[0].hits[0].identity, rival = answer.queries[0].hits[1];
  const { low, high } = point.basis, measured = low > -1 || high < 1;
  const second = (decision.above_next ?? null) !== null, compared = second ? decision.above_next : decision.similarity;
  const near = measured && compared >= low && compared <= high && low < high;
  const two = decision.identity !== null && decision.margin !== null && compared - decision.margin >= decision.threshold;
  const lead = second ? `, which is ${similarity(compared)} above the mean of the next ${decision.neighbours}` : "";
  const facts = `similarity ${similarity(decision.similarity)}${lead}, threshold ${similarity(decision.threshold)}`;
  const doubts = [];
  if (two) doubts.push(`A second one reaches the threshold too${rival ? `: ${rival.identity}` : ""}, ${similarity(decision.margin)} behind.`);
  if (near) doubts.push(`${second ? "How far it is above the next" : "The similarity"} is so close to the threshold that another measurement of the threshold might decide otherwise: with 95 % confidence it lies between ${similarity(low)} and ${similarity(high)}.`);
  if (doubts.length) {
    const name = two && rival ? `${closest} or ${rival.identity}` : `perhaps ${closest}`;
    return { kind: "doubtful", headline: `Doubtful: ${name}`, reasons: [...doubts, `By the threshold alone: ${decision.identity ?? "unknown"} (${facts}).`] };
  }
  if (decision.identity === null) {
    return { kind: "unknown", headline: "Unknown", reasons: [`None of the ${answer.size.identities.toLocaleString("en")} enrolled ${second ? "is clearly closer than the others" : "is close enough"}. The closest is ${closest} (${facts}).`] };
  }
  const ahead = decision.margin === null ? "" : `, ${similarity(decision.margin)} ahead of the next`;
  return { kind: "this", headline: `This one: ${decision.identity}`, reasons: [`It reaches the threshold (${facts})${ahead}.`] };
}

// At which rate a search decided; empty where none holds.
export function rate(answer) {
  if (!answer.point || answer.outgrown || answer.unmeasured) return "";
  const promise = `${answer.promise}.`;
  return promises(answer.point) ? `At this threshold ${promise}` : `${promise[0].toUpperCase()}${promise.slice(1)}`;
}

// Why no rate holds, or another decides than the gallery was calibrated for.
export function warning(answer) {
  if (!answer.point) return "";
  if (answer.outgrown) return "The gallery has outgrown its calibration: no measured rate holds until it is calibrated again.";
  if (answer.unmeasured) return `No rate holds: ${answer.unmeasured}.`;
  const { calibration, size } = answer;
  const changed = calibration && (calibration.identities !== size.identities || calibration.templates !== size.templates);
  return changed && calibration.second_look
    ? "The gallery was calibrated with a second look at the next ones and has changed since: the similarity alone decides until it is calibrated again." : "";
}
