// Enrol: several images of one identity.

import { button, during, el, labelled, picture, say, tell } from "./dom.js";
import { here, may, session, withImages } from "./server.js";
import { fileName, photos } from "./photo.js";

let offered = [];

// An image that the next visit begins with.
export function offer(file) {
  offered = [file];
}

export async function enrol(place, about) {
  place.append(el("h1", {}, "Enrol"));
  if (!may("enrol")) {
    place.append(el("p", {}, "This key may look and search. To enrol takes a key with the role enrol."));
    return;
  }
  const files = offered;
  offered = [];
  const list = el("ul", { class: "chosen", "aria-label": "Chosen images" });
  const identity = el("input", { required: true, maxlength: 1000, autocomplete: "off", value: about });
  const metadata = el("input", { autocomplete: "off", placeholder: "shelf = 3, colour = red" });
  const send = el("button", { type: "submit" }, "Enrol");
  const result = el("section", { class: "result", "aria-label": "Result" });
  const redraw = () => {
    list.replaceChildren(...files.map(file => el("li", {}, picture(file, fileName(file)),
      button("Leave out", async () => {
        files.splice(files.indexOf(file), 1);
        redraw();
      }, { class: "quiet", "aria-label": `Leave out ${fileName(file)}` }))));
    send.textContent = files.length > 1 ? `Enrol ${files.length} images` : "Enrol";
  };
  const form = el("form", {}, labelled("Identity", identity, "Who or what it is: a name or a number. A name that is enrolled gets more images."),
    photos("Images to enrol", more => {
      files.push(...more);
      say(`${files.length} images chosen`);
      redraw();
    }, { several: true }),
    list,
    labelled("Notes", metadata, "Kept with each image, and shown with it. Optional."),
    send);
  form.addEventListener("submit", event => {
    event.preventDefault();
    if (!files.length) return tell("No image is chosen yet.");
    during(send, async () => {
      const fields = metadata.value.trim() ? { metadata: JSON.stringify(pairs(metadata.value)) } : {};
      const answer = await withImages("enrol", files, { identity: identity.value.trim() }, fields);
      session.about = await here("");
      files.length = 0;
      identity.value = metadata.value = ""; // the next images are of another one
      redraw();
      show(result, answer);
    });
  });
  redraw();
  place.append(form, result);
}

function show(place, answer) {
  const count = answer.images.length, left = [...answer.failures.map(one => `${one.image}: ${one.reason}`),
    ...answer.refused.map(one => `${one.image}: its quality is too low`)];
  const headline = `Enrolled ${count} ${count === 1 ? "image" : "images"} of ${answer.identity}`;
  place.replaceChildren(
    el("h2", { class: "answer this" }, el("span", { "aria-hidden": "true" }, "✓"), ` ${headline}`),
    el("p", {}, el("a", { href: `#enrolled/${encodeURIComponent(answer.identity)}` }, `See ${answer.identity}`), `; ${answer.size.identities.toLocaleString("en")} identities are enrolled.`),
    ...left.map(text => el("p", { class: "problem" }, `Not enrolled: ${text}`)),
    ...(answer.outgrown ? [el("p", {}, "The gallery has outgrown its calibration: calibrate it again, so that its rates hold.")] : []),
  );
  say(headline + (left.length ? `; ${left.length} not enrolled` : ""));
}

// "shelf = 3, colour = red" as an object; numbers are numbers.
function pairs(text) {
  const found = {};
  for (const part of text.split(",").map(one => one.trim()).filter(Boolean)) {
    const [name, ...rest] = part.split("="), value = rest.join("=").trim();
    if (!name.trim() || !rest.length) throw new Error(`Notes: “${part}” is no pair; write name = value, with commas between pairs`);
    found[name.trim()] = value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  return found;
}
