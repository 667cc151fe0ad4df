// Elements and text. Whatever comes from a log line goes through `text` into a text node; there is
// no other way here from a string to the page.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu;
const SVG = "http://www.w3.org/2000/svg";

// Characters that nobody sees, or that turn the direction of others, are shown by their number.
export function text(value) {
  return String(value ?? "").replace(
    UNSEEN,
    (c) => `\\u{${c.codePointAt(0).toString(16)}}`,
  );
}

// make("td", { className: "mta" }, "mx1", node, null)
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, properties, children);
  return element;
}

export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  fill(element, attributes, children);
  return element;
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "className") element.setAttribute("class", value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, value);
  }
  for (const child of children) {
    if (child === null || child === undefined) continue;
    element.append(typeof child === "object" ? child : document.createTextNode(text(child)));
  }
}

export function write(element, value) {
  const shown = text(value);
  if (element.textContent !== shown) element.textContent = shown;
}

export const byId = (id) => document.getElementById(id);

// Rows that stay where they are while what they show changes: `build()` gives a row with a button,
// `show(row, item)` fills it. The button that has the focus keeps it, and where the item it stood
// for has moved, the focus moves along.
export function keep(parent, items, key, build, show) {
  const active = document.activeElement;
  const focused = active && parent.contains(active) ? active.closest("[data-key]") : null;
  const wanted = focused?.dataset.key;
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(build());
  items.forEach((item, place) => {
    const row = parent.children[place];
    row.dataset.key = key(item);
    show(row, item);
  });
  if (wanted === undefined || focused.dataset.key === wanted) return;
  const now = [...parent.children].find((row) => row.dataset.key === wanted);
  now?.querySelector("button")?.focus({ preventScroll: true });
}
