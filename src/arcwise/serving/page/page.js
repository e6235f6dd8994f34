// The page: which gallery, with which key, and which view.

import { during, el, say, tell } from "./dom.js";
import { galleries, here, keepKey, may, session } from "./server.js";
import { recognise } from "./recognise.js";
import { enrol } from "./enrol.js";
import { enrolled } from "./enrolled.js";
import { compare } from "./compare.js";
import { rates } from "./rates.js";

const VIEWS = { recognise, enrol, enrolled, compare, rates };
const chooser = document.getElementById("gallery"), keyForm = document.getElementById("key-form");
const forget = document.getElementById("forget"), place = document.getElementById("view");

// #enrolled/oat-milk: a view, and what it is about.
function requested() {
  const [view, ...rest] = location.hash.slice(1).split("/");
  let about = rest.join("/");
  try {
    about = decodeURIComponent(about);
  } catch { /* an address that was cut off is taken as it is */ }
  return VIEWS[view] ? { view, about } : { view: "recognise", about: "" };
}

async function show(focus = true) {
  const { view, about } = requested();
  tell("");
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!session.gallery) return;
  document.title = `${view[0].toUpperCase()}${view.slice(1)} · ${session.gallery} · Arcwise`;
  const made = el("div", { class: `view ${view}` });
  place.replaceChildren(made);
  await during(made, async () => {
    if (!session.about?.decides.point) session.about = await here(""); // measured meanwhile, maybe
    await VIEWS[view](made, about);
  });
  if (focus) document.getElementById("main").focus({ preventScroll: true });
}

async function open(gallery) {
  session.gallery = gallery;
  session.fpir = null;
  session.about = await here("");
  document.body.dataset.role = session.about.role;
  document.querySelector("#views a[href='#enrol']").hidden = !may("enrol");
}

async function start() {
  tell("");
  let names;
  try {
    names = (await galleries()).galleries;
  } catch (problem) {
    place.replaceChildren();
    if (problem.status === 401) {
      if (session.key) tell("The server does not know this key.");
      keepKey("");
      return needKey();
    }
    const again = el("button", { type: "button" }, "Try again");
    again.addEventListener("click", start);
    place.replaceChildren(again);
    return tell(problem);
  }
  keyForm.hidden = true;
  forget.hidden = !session.key;
  if (!names.length) return tell("This key opens no gallery.");
  chooser.replaceChildren(...names.map(name => el("option", {}, name)));
  chooser.disabled = false;
  try {
    await open(names.includes(session.gallery) ? session.gallery : names[0]);
  } catch (problem) {
    return tell(problem);
  }
  chooser.value = session.gallery;
  await show(false);
}

function needKey() {
  session.gallery = "";
  place.replaceChildren();
  chooser.replaceChildren(el("option", {}, "no gallery"));
  chooser.disabled = true;
  forget.hidden = true;
  keyForm.hidden = false;
  document.getElementById("key").focus();
}

keyForm.addEventListener("submit", event => {
  event.preventDefault();
  const field = document.getElementById("key");
  keepKey(field.value.trim());
  field.value = "";
  during(keyForm, start);
});
forget.addEventListener("click", () => {
  keepKey("");
  start();
});
chooser.addEventListener("change", () => during(chooser, async () => {
  await open(chooser.value);
  say(`Gallery ${chooser.value}`);
  await show(false);
}));
document.addEventListener("key-needed", () => {
  if (!session.gallery) return; // while it opens, `start` says it
  keepKey("");
  needKey();
});
window.addEventListener("hashchange", () => show());
start();
