// What is enrolled: browse, correct, remove.

import { button, confirmed, during, el, labelled, picture, say } from "./dom.js";
import { here, may, session, thumbnail } from "./server.js";

const PAGE = 50;

export async function enrolled(place, about) {
  if (about) return one(place, about);
  const start = el("input", { type: "search", autocomplete: "off" });
  const list = el("ul", { class: "identities", "aria-label": "Enrolled identities" });
  const total = el("p", { class: "help" });
  const more = el("p", {}), held = el("section", { "aria-label": "Quarantine" });
  // Names are in order: those that begin with a text come after whatever is just before it.
  const load = async after => {
    const page = await here("identities", { query: { after, limit: PAGE } });
    if (after === null || after === start.value) list.replaceChildren();
    list.append(...page.identities.map(each => el("li", {},
      el("a", { href: `#enrolled/${encodeURIComponent(each.identity)}` }, each.identity),
      el("span", { class: "help" }, images(each.templates)))));
    total.textContent = `${page.total.toLocaleString("en")} identities are enrolled.`;
    more.replaceChildren(...(page.after === null ? [] : [button("Show more", () => load(page.after))]));
  };
  const form = el("form", { role: "search", class: "row" }, labelled("Names starting at", start), el("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", event => {
    event.preventDefault();
    during(form, async () => {
      const exact = start.value && await enrolledAs(start.value);
      if (exact) location.hash = `#enrolled/${encodeURIComponent(exact.identity)}`;
      else await load(start.value || null);
    });
  });
  place.append(el("h1", {}, "Enrolled"), total, form, list, more, held);
  await load(null);
  if (may("admin")) await quarantine(held);
}

async function quarantine(place) {
  const { templates } = await here("quarantine");
  place.replaceChildren(el("h2", {}, "In quarantine"), el("p", { class: "help" },
    templates.length ? "These take part in no search until they are released." : "Nothing is in quarantine."),
  el("ul", { class: "templates" }, ...templates.map(({ template, reason }) => el("li", {}, shown(template),
    el("p", {}, `${template.identity}: ${reason}`),
    el("div", { class: "actions" }, button("Release", async () => {
      await here("release", { method: "POST", json: { templates: [template.template] } });
      say(`An image of ${template.identity} is released`);
      await quarantine(place);
    }, { "aria-label": `Release image ${template.template} of ${template.identity}` }),
    removal(template, () => quarantine(place)))))));
}

async function one(place, identity) {
  const again = async () => { // without its last image, it is enrolled no more
    if (found.templates.length === 1) {
      location.hash = "#enrolled";
      return;
    }
    place.replaceChildren();
    await one(place, identity);
  };
  const back = el("p", {}, el("a", { href: "#enrolled" }, "All enrolled"));
  let found;
  try {
    found = await here("identity", { query: { identity } });
  } catch (problem) {
    place.replaceChildren(back);
    throw problem;
  }
  const forms = found.forms.length > 1 ? [el("p", { class: "help" }, `Also written: ${found.forms.slice(1).join(", ")}`)] : [];
  const actions = el("div", { class: "actions" });
  if (may("enrol")) actions.append(el("a", { class: "button", href: `#enrol/${encodeURIComponent(found.identity)}` }, "Add images"));
  if (may("admin")) {
    actions.append(button("Rename", () => rename(found)), button("Remove", () => remove(found), { class: "danger" }));
  }
  place.append(back, el("h1", {}, found.identity), ...forms, actions,
    el("ul", { class: "templates" }, ...found.templates.map(each => template(each, again))));
}

function template(about, again) {
  const notes = Object.entries(about.metadata).filter(([key]) => key !== "content" && key !== "together");
  const facts = el("dl", {}, ...notes.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, typeof value === "string" ? value : JSON.stringify(value))]));
  const item = el("li", {}, about.thumbnail ? shown(about) : el("span", { class: "picture" }, el("span", { class: "none" }, "no thumbnail is kept")), facts);
  if (!may("admin")) return item;
  const which = `image ${about.template} of ${about.identity}`;
  item.append(el("div", { class: "actions" },
    button("Move", async () => {
      const to = await confirmed(`Give ${which} to another identity.`, "Move", "Identity");
      if (!to) return;
      await here(`templates/${about.template}/identity`, { method: "PUT", json: { identity: to } });
      say(`Moved to ${to}`);
      await again();
    }, { "aria-label": `Move ${which}`, class: "quiet" }),
    button("Quarantine", async () => {
      const reason = await confirmed(`I${which.slice(1)} takes part in nothing until it is released.`, "Quarantine", "Why");
      if (!reason) return;
      await here("quarantine", { method: "POST", json: { templates: [about.template], reason } });
      say("It is in quarantine");
      await again();
    }, { "aria-label": `Quarantine ${which}`, class: "quiet" }),
    removal(about, again)));
  return item;
}

function removal(about, again) {
  const which = `image ${about.template} of ${about.identity}`;
  return button("Remove", async () => {
    if (!await confirmed(`Remove ${which}? Its vector and thumbnail are erased.`, "Remove")) return;
    await here(`templates/${about.template}`, { method: "DELETE" });
    say("Removed");
    await again();
  }, { "aria-label": `Remove ${which}`, class: "quiet danger" });
}

// The thumbnail comes when it is there: its place is kept free.
function shown(about) {
  const frame = el("span", { class: "picture" });
  during(frame, async () => {
    const blob = await thumbnail(about.template);
    frame.replaceChildren(blob ? picture(blob, `Enrolled image of ${about.identity}`).firstChild : el("span", { class: "none" }, "no thumbnail is kept"));
  });
  return frame;
}

async function rename(found) {
  const { identity } = found;
  const to = await confirmed(`Rename ${identity}.`, "Rename", "New name", identity);
  if (!to || to === identity) return;
  const other = await enrolledAs(to);
  if (other && other.identity !== identity && !await confirmed(
    `${identity} (${images(found.templates.length)}) and ${other.identity} (${images(other.templates.length)}) become one?`, "Make them one")) return;
  await here("identity", { method: "PATCH", query: { identity }, json: { to } });
  say(`${identity} is now ${to}`);
  location.hash = `#enrolled/${encodeURIComponent(to)}`;
}

// What is enrolled under a name; null where nothing is.
async function enrolledAs(identity) {
  try {
    return await here("identity", { query: { identity } });
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

function images(count) {
  return count === 1 ? "1 image" : `${count} images`;
}

async function remove(found) {
  if (!await confirmed(`Remove ${found.identity} with ${images(found.templates.length)}? The vectors and thumbnails are erased.`, "Remove")) return;
  await here("identity", { method: "DELETE", query: { identity: found.identity } });
  session.about = await here("");
  say(`${found.identity} is removed`);
  location.hash = "#enrolled";
}
