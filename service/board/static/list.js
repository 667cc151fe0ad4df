// The live list: the newest events on top, so many and no more; older ones when asked for.

import { byId, make, write } from "./dom.js";
import { NAMES, iso, moment, number, spoken } from "./words.js";

const LIVE_MOST = 200; // more when somebody has asked for older ones
const MOST = 1000;

export class List {
  constructor(open, older) {
    this.open = open;
    this.table = byId("list");
    this.body = this.table.tBodies[0];
    this.isHeld = false;
    this.missed = 0;
    byId("older").addEventListener("click", () => older(this.last));
    this.body.addEventListener("click", (event) => this.click(event));
    this.table.addEventListener("keydown", (event) => this.key(event));
  }

  get last() {
    return Number(this.body.lastElementChild?.dataset.seq ?? 0);
  }

  replace(events, more) {
    this.missed = 0;
    this.most = LIVE_MOST;
    this.body.replaceChildren(...events.map(row));
    this.hasMore = more;
    this.settle();
  }

  // `more`: between these and those shown there are others; those shown go, so that there is no gap.
  add(events, more) {
    if (!events.length) return;
    if (this.isHeld) {
      this.missed += events.length;
      this.sayMissed(more);
      return;
    }
    if (more) {
      this.replace(events, true);
      return;
    }
    this.body.prepend(...events.map(row));
    while (this.body.childElementCount > this.most && this.body.lastElementChild !== this.focused) {
      this.body.lastElementChild.remove();
      this.hasMore = true;
    }
    this.settle();
  }

  append(events, more) {
    this.body.append(...events.map(row));
    this.most = Math.max(LIVE_MOST, this.body.childElementCount);
    this.hasMore = more && this.most < MOST;
    this.settle();
  }

  get focused() {
    return document.activeElement?.closest?.("#list tbody tr") ?? null;
  }

  settle() {
    byId("empty").hidden = this.body.childElementCount > 0;
    byId("older").hidden = !this.hasMore;
  }

  hold(isHeld) {
    this.isHeld = isHeld;
    this.missed = 0;
    byId("hold").setAttribute("aria-pressed", String(isHeld));
    write(byId("hold"), isHeld ? "Go on" : "Hold the list");
  }

  sayMissed(more) {
    write(byId("hold"), `Go on: ${number(this.missed)}${more ? "+" : ""} new`);
  }

  click(event) {
    const line = event.target.closest("tr");
    if (!line) return;
    // Text that somebody marks to copy it is no click.
    const marked = getSelection();
    if (String(marked) && line.contains(marked.anchorNode)) return;
    this.open(Number(line.dataset.seq));
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };
    const line = this.focused;
    if (!line || event.altKey || event.ctrlKey || event.metaKey) return;
    let next = null;
    if (event.key === "Home") next = this.body.firstElementChild;
    else if (event.key === "End") next = this.body.lastElementChild;
    else if (steps[event.key] === 1) next = line.nextElementSibling;
    else if (steps[event.key] === -1) next = line.previousElementSibling;
    else return;
    event.preventDefault();
    next?.querySelector("button").focus();
  }
}

function row(event) {
  const time = make("time", { datetime: iso(event.at) }, moment(event.at));
  const cell = (name, ...children) => make("td", { role: "cell", className: name }, ...children);
  return make(
    "tr",
    { role: "row", "data-seq": event.seq },
    cell("time", make("button", { type: "button", className: "name" }, time)),
    cell("kind", make("span", { className: `key ${event.kind}` }, NAMES[event.kind])),
    cell("mta", event.mta),
    cell("who", event.recipient ?? "–"),
    cell("code", event.code ?? ""),
    cell("cause", spoken(event.category)),
    cell("said", event.response ?? ""),
  );
}
