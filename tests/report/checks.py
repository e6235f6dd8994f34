"""What must be true of a page in a window, checked in JavaScript; the answer lists the problems."""

from __future__ import annotations

from .chromium import Visit

# Boxes of an SVG's words that leave the drawing, or meet one another by more than a hair.
MISPLACED = """
[...document.querySelectorAll("svg")].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  const words = [...svg.querySelectorAll("text")].filter(one => one.textContent.trim());
  const boxes = words.map(one => [one.textContent, one.getBoundingClientRect()]);
  const out = boxes.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1
    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1).map(([word]) => word + " is cut");
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
  boxes.forEach(([word, box], place) => boxes.slice(place + 1).forEach(([other, another]) => {
    if (meet(box, another)) out.push(word + " meets " + other);
  }));
  return out.map(fault => svg.getAttribute("aria-label").slice(0, 30) + ": " + fault);
})
"""

# Words of the page, in drawings and out of them, by how large their letters are on the screen.
TINY = """
[...document.querySelectorAll("svg text, main *:not(svg):not(svg *)")].filter(one => {
  const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  if (!own) return false;
  const svg = one.closest("svg");
  const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
  return parseFloat(getComputedStyle(one).fontSize) * scale < 9;
}).map(one => one.textContent.trim())
"""


def faults(visit: Visit, width: int) -> list[str]:
    """Everything that is wrong with a page in a window so many pixels wide."""
    problems = [f"error: {one}" for one in visit.errors]
    problems += [f"request: {one}" for one in visit.requests]
    if (wide := visit.ask("document.documentElement.scrollWidth")) > width:
        problems.append(f"{wide} pixels wide in a window of {width}")
    broken = "[...document.images].filter(one => !one.complete || !one.naturalWidth).length"
    if missing := visit.ask(broken):
        problems.append(f"{missing} images are not there")
    problems += visit.ask(MISPLACED)
    return problems + [f"tiny: {one}" for one in visit.ask(TINY)]
