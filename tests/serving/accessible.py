"""What must be true of a page for everybody: names, contrast, focus, sizes; problems are listed."""

from __future__ import annotations

from tests.report.chromium import Visit

CONTROLS = {
    "button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "spinbutton"
}  # fmt: skip
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3

# Words whose colour is too near that of what is behind them.
FAINT = """
(() => {
  const rgba = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter(one => one.checkVisibility()
    && one.getBoundingClientRect().width > 2
    && [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
  ).map(one => {
    const style = getComputedStyle(one), svg = one.namespaceURI.endsWith("svg");
    const both = [rgba(svg ? style.fill : style.color), behind(one)].map(light);
    const pair = both.sort((a, b) => b - a);
    return [(pair[0] + 0.05) / (pair[1] + 0.05), one.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < LEAST).map(([ratio, text]) => `${ratio.toFixed(2)}: ${text}`);
})()
"""

# Controls that a finger misses: smaller than 24 pixels (WCAG 2.2, 2.5.8), but links in a text.
SMALL = """
[...document.querySelectorAll("button, input, select, nav a, .button")].filter(one =>
  one.checkVisibility() && (one.getBoundingClientRect().height < 24
    || one.getBoundingClientRect().width < 24)).map(one => one.outerHTML.slice(0, 60))
"""

FOCUS = """
(() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const around = one.closest("label.way");
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
    || around !== null && getComputedStyle(around).outlineStyle !== "none";
  return [one.outerHTML.slice(0, 80), seen, one === document.body];
})()
"""

HEADINGS = "[...document.querySelectorAll('h1, h2, h3')].filter(one => one.checkVisibility())"


def faults(visit: Visit) -> list[str]:
    """Everything that some could not use, see or hear on a page."""
    nodes = visit.call("Accessibility.getFullAXTree")["nodes"]
    shown = [one for one in nodes if not one.get("ignored")]
    said = [
        (one.get("role", {}).get("value"), one.get("name", {}).get("value", "").strip(), one)
        for one in shown
    ]
    problems = [
        f"no name: {role}" for role, name, _ in said if role in CONTROLS | {"image"} and not name
    ]
    roles = [role for role, _, _ in said]
    problems += [f"no {one}" for one in ("main", "navigation", "banner") if one not in roles]
    problems += [f"faint, {one}" for one in visit.ask(FAINT.replace("LEAST", str(LEAST_CONTRAST)))]
    problems += [f"small: {one}" for one in visit.ask(SMALL)]
    if visit.ask(f"{HEADINGS}.filter(one => one.tagName === 'H1').length") != 1:
        problems.append("not just one h1")
    if not visit.ask("document.documentElement.lang"):
        problems.append("no language")
    return problems


def tabbed(visit: Visit, most: int = 60) -> tuple[list[str], list[str]]:
    """Return the controls that Tab reaches in turn, and those whose focus is not seen."""
    visit.ask("document.activeElement.blur()")
    reached, unseen = [], []
    for _ in range(most):
        visit.press("Tab", 9)
        name, seen, body = visit.ask(FOCUS)
        if body or (reached and name == reached[0]):
            break
        reached.append(name)
        if not seen:
            unseen.append(name)
    return reached, unseen
