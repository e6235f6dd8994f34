// A photo is taken, chosen, dropped or pasted.

import { el } from "./dom.js";

// Two ways on a phone: its camera, or the images it has. `taken` is called with the files.
export function photos(words, taken, { several = false } = {}) {
  const camera = el("input", { type: "file", accept: "image/*", capture: "environment" });
  const chosen = el("input", { type: "file", accept: "image/*", multiple: several });
  for (const input of [camera, chosen]) {
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = ""; // the same file may be chosen again
      if (files.length) taken(files);
    });
  }
  const place = el("div", { class: "drop", role: "group", "aria-label": words },
    way("Take a photo", camera),
    way(several ? "Choose images" : "Choose an image", chosen),
    el("p", { class: "help" }, several ? "or drop or paste images here" : "or drop or paste one here"));
  const give = list => {
    const files = [...list].slice(0, several ? undefined : 1);
    if (files.length) taken(files);
  };
  place.addEventListener("dragover", event => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", event => {
    event.preventDefault();
    place.classList.remove("over");
    give(event.dataTransfer.files);
  });
  const pasted = event => {
    if (!place.isConnected) return document.removeEventListener("paste", pasted);
    give(event.clipboardData.files);
  };
  document.addEventListener("paste", pasted);
  return place;
}

// A button that is a file input: the browser's own, over its words.
function way(text, input) {
  return el("label", { class: "button way" }, text, input);
}

export function fileName(file) {
  return file.name || "photo.jpg";
}
