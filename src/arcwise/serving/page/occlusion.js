// Why it matched: which parts of the image the similarity rests on.

import { el, say } from "./dom.js";
import { withImages } from "./server.js";
import { similarity } from "./words.js";

const ROWS = ["top", "middle", "bottom"], COLUMNS = ["left", "centre", "right"];

export async function occlusion(place, file, identity) {
  place.replaceChildren(el("p", {}, "Covering one part after the other…"));
  let answer;
  try {
    answer = await withImages("explain", [file], { identity });
  } catch (problem) {
    place.replaceChildren();
    throw problem;
  }
  const { fall } = answer, most = Math.max(...fall.flat());
  const words = most > 0
    ? `Covering the ${part(fall, most)} of the image lowers the similarity to ${answer.identity} the most: from ${similarity(answer.similarity)} to ${similarity(answer.similarity - most)}.`
    : "No single part matters: wherever the image is covered, the similarity does not fall.";
  const canvas = el("canvas", { width: 280, height: 280, role: "img", "aria-label": words });
  await draw(canvas, answer.image, fall, most);
  place.replaceChildren(
    el("figure", { class: "map" }, canvas, el("figcaption", {}, "as the network sees it; marked is what counts, the larger the square the more")),
    el("p", {}, words),
  );
  say(words);
}

function part(fall, most) {
  const grid = fall.length, row = fall.findIndex(one => one.includes(most)), column = fall[row].indexOf(most);
  const third = place => Math.min(2, Math.floor(3 * (place + 0.5) / grid));
  return third(row) === 1 && third(column) === 1 ? "centre" : `${ROWS[third(row)]} ${COLUMNS[third(column)]}`;
}

// Squares of more than one look: size as well as colour says how much.
async function draw(canvas, jpeg, fall, most) {
  const bytes = Uint8Array.from(atob(jpeg), one => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  const side = 280, scale = side / Math.max(image.width, image.height);
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  const pen = canvas.getContext("2d"), wide = canvas.width / fall.length, high = canvas.height / fall.length;
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  fall.forEach((line, row) => line.forEach((value, column) => {
    const share = most > 0 ? Math.max(0, value) / most : 0;
    if (share < 0.1) return;
    const edge = Math.sqrt(share), width = (wide - 2) * edge, height = (high - 2) * edge;
    const x = (column + 0.5) * wide - width / 2, y = (row + 0.5) * high - height / 2;
    pen.fillStyle = "rgba(255, 106, 0, .5)";
    pen.fillRect(x, y, width, height);
    pen.lineWidth = 1.5;
    pen.strokeStyle = "#fff";
    pen.strokeRect(x, y, width, height);
  }));
}
