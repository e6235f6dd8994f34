// The server's calls, as /v1/openapi.json describes them.

const KEY = "arcwise-key";

// What this tab knows: the key, the gallery, what the server says of it, and the rate chosen.
export const session = { key: sessionStorage.getItem(KEY) ?? "", gallery: "", about: null, fpir: null };

export class Problem extends Error {
  constructor(status, code, message, advice = "", images = []) {
    super(message);
    Object.assign(this, { status, code, advice, images });
  }
}

export function keepKey(key) {
  session.key = key;
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export function may(role) {
  const order = ["read", "enrol", "admin"];
  return session.about !== null && order.indexOf(session.about.role) >= order.indexOf(role);
}

// Addresses are relative, so that a proxy may serve all of it below a path.
async function fetched(path, { method = "GET", query = {}, form = null, json = null } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const address = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const headers = {};
  if (session.key) headers.Authorization = `Bearer ${session.key}`;
  if (json !== null) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(address, { method, headers, body: json === null ? form : JSON.stringify(json) });
  } catch {
    throw new Problem(0, "away", "The server does not answer", "look whether it runs and whether this device is online, and try again");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  const { code = "unknown", message = `the answer is ${response.status}`, do: advice = "", images = [] } = said.error ?? {};
  if (response.status === 401) document.dispatchEvent(new CustomEvent("key-needed"));
  throw new Problem(response.status, code, message, advice, images);
}

export async function ask(path, options) {
  const response = await fetched(path, options);
  return response.status === 204 ? null : response.json();
}

export function galleries() {
  return ask("v1/galleries");
}

// A call about the gallery that is chosen.
export function here(path, options) {
  const gallery = `v1/galleries/${encodeURIComponent(session.gallery)}`;
  return ask(path ? `${gallery}/${path}` : gallery, options);
}

export function withImages(path, images, query = {}, fields = {}) {
  const form = new FormData();
  for (const one of images) form.append("images", one, one.name || "photo.jpg");
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return here(path, { method: "POST", query, form });
}

// The small image of a template; null where none is kept.
export async function thumbnail(template) {
  try {
    const gallery = encodeURIComponent(session.gallery);
    return await (await fetched(`v1/galleries/${gallery}/templates/${template}/thumbnail`)).blob();
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}
