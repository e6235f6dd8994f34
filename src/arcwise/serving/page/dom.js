// Elements of the page. Text from a server or a file becomes text nodes, never HTML.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(one => one !== null && one !== undefined));
  return made;
}

// A button; what it does may take a while, and cannot be begun twice meanwhile.
export function button(text, action, attributes = {}) {
  const made = el("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", () => during(made, action));
  return made;
}

export async function during(control, action) {
  if (control.ariaBusy === "true") return;
  control.ariaBusy = "true";
  tell("");
  try {
    await action();
  } catch (problem) {
    tell(problem);
  } finally {
    control.ariaBusy = null;
  }
}

// What went wrong, in words, where a screen reader hears it at once.
export function tell(problem) {
  const place = document.getElementById("problem");
  place.textContent = problem ? inWords(problem) : "";
  if (problem) place.scrollIntoView({ block: "nearest" });
}

function inWords(problem) {
  if (typeof problem === "string") return problem;
  const images = (problem.images ?? []).map(one => `${one.image}: ${one.reason}`).join("; ");
  const cause = images && !problem.message.includes(images) ? ` (${images})` : "";
  const forPrograms = /\/v1\/|header/.test(problem.advice ?? "");
  const advice = problem.advice && !forPrograms ? ` What to do: ${problem.advice}.` : "";
  return `${problem.message}${cause}.${advice}`;
}

// What happened, for a screen reader.
export function say(text) {
  document.getElementById("status").textContent = text;
}

// A yes or no, or a text (its `field` names it); null where it was cancelled.
export function confirmed(text, yes, field = null, value = "") {
  const dialog = document.getElementById("ask"), input = document.getElementById("ask-input");
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-yes").textContent = yes;
  document.getElementById("ask-field").hidden = field === null;
  document.getElementById("ask-label").textContent = field ?? "";
  input.required = field !== null;
  input.value = value;
  dialog.returnValue = "";
  dialog.showModal();
  const cancel = document.getElementById("ask-no"); // submits nothing: Enter in the field is a yes
  cancel.onclick = () => dialog.close();
  (field === null ? cancel : input).focus();
  return new Promise(resolve => dialog.addEventListener("close", () => {
    resolve(dialog.returnValue !== "yes" ? null : field === null ? true : input.value);
  }, { once: true }));
}

// A picture of a file or of bytes; where a browser cannot show it, its words are shown.
export function picture(blob, words) {
  const frame = el("span", { class: "picture" });
  const image = el("img", { alt: words, src: URL.createObjectURL(blob) });
  image.addEventListener("load", () => URL.revokeObjectURL(image.src));
  image.addEventListener("error", () => frame.replaceChildren(el("span", { class: "none" }, "no preview")));
  frame.append(image);
  return frame;
}

let fields = 0;

// A labelled control.
export function labelled(text, control, help = "") {
  control.id = control.id || `field-${++fields}`;
  const parts = [el("label", { for: control.id }, text), control];
  if (help) {
    control.setAttribute("aria-describedby", `${control.id}-help`);
    parts.push(el("span", { class: "help", id: `${control.id}-help` }, help));
  }
  return el("p", { class: "field" }, ...parts);
}
