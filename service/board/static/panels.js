// Totals, the most frequent names, what waits, who is silent.

import { byId, draw, keep, make, write } from "./dom.js";
import { KINDS, NAMES, number, rate, span, spoken } from "./words.js";

const GROUPS = { category: "Causes", domain: "Recipient domains", provider: "Providers", mta: "MTAs" };
const AGES = ["under 5 min", "5 to 30 min", "30 min to 2 h", "2 to 6 h", "6 to 24 h", "over a day"];

// `filter(name, value)` and `open(seq)`: what a click on a name or a message does.
export class Panels {
  constructor(filter, open) {
    this.open = open;
    byId("totals").append(...KINDS.map((kind) => total(kind)));
    this.groups = Object.entries(GROUPS).map(([group, title]) => new Group(group, title, filter));
    byId("leaders").append(...this.groups.map((group) => group.element));
  }

  show(picture) {
    KINDS.forEach((kind, place) => {
      const tile = byId("totals").children[place];
      write(tile.querySelector(".count"), number(picture.totals[place]));
      write(tile.querySelector(".rate"), `${rate(picture.rates[place])} a minute now`);
    });
    for (const group of this.groups) group.show(picture.leaders[group.name]);
    this.showWaiting(picture);
    this.showSilent(picture);
  }

  showWaiting({ waiting, now }) {
    write(byId("waiting-total"), number(waiting.total));
    const most = Math.max(...waiting.ages, 1);
    const items = waiting.ages.map((count, place) => ({ name: AGES[place], count }));
    keep(byId("ages").tBodies[0], items, (item) => item.name, barRow, (row, item) => {
      write(row.cells[0], item.name);
      bar(row.cells[1].firstChild, [["deferred", item.count]], most);
      write(row.cells[2], number(item.count));
    });
    keep(byId("oldest"), waiting.oldest, (item) => `${item.seq}`, () => this.line(), (row, item) => {
      row.firstChild.dataset.seq = item.seq;
      write(row.querySelector("b"), item.recipient ?? "unknown recipient");
      const times = item.attempts === 1 ? "1 attempt" : `${item.attempts} attempts`;
      write(row.querySelector(".more"), `${span(now - item.since)}, ${times} · ${spoken(item.category)} · ${item.mta}`);
    });
  }

  line() {
    const open = (event) => this.open(Number(event.currentTarget.dataset.seq));
    const button = make("button", { type: "button", className: "row", onclick: open });
    button.append(make("b"), make("span", { className: "more" }));
    return make("li", {}, button);
  }

  showSilent({ mtas, now }) {
    write(byId("silent-total"), number(mtas.silent.length));
    write(byId("silent-of"), `of ${number(mtas.known)} MTAs`);
    const build = () => make("li", {}, make("b"), make("span", { className: "more" }));
    keep(byId("silent"), mtas.silent, (item) => item.name, build, (row, item) => {
      write(row.firstChild, item.name);
      write(row.lastChild, `quiet for ${span(now - item.heard)}, usually ${span(item.pause)}`);
    });
  }
}

function total(kind) {
  return make(
    "div",
    {},
    make("dt", { className: `key ${kind}` }, NAMES[kind]),
    make("dd", { className: "count" }, "0"),
    make("dd", { className: "rate" }),
  );
}

class Group {
  constructor(name, title, filter) {
    this.name = name;
    this.filter = filter;
    const id = `leaders-${name}`;
    const head = make("tr", {});
    for (const column of ["Name", "Failures"]) head.append(make("th", { scope: "col" }, column));
    this.body = make("tbody");
    this.rest = make("p", { className: "hint" });
    this.element = make(
      "section",
      { className: "card", "aria-labelledby": id },
      make("h2", { id }, title),
      make(
        "table",
        { className: "bars names", "aria-labelledby": id },
        make("colgroup", {}, make("col"), make("col", { className: "count" })),
        make("thead", { className: "unseen" }, head),
        this.body,
      ),
      this.rest,
    );
  }

  show({ first, others }) {
    const sum = (counts) => counts.reduce((total, count) => total + count, 0);
    const most = Math.max(...first.map(([, counts]) => sum(counts)), 1);
    keep(this.body, first, ([name]) => name, () => this.row(), (row, [name, counts]) => {
      const [reject, deferred, bounced] = counts;
      const button = row.cells[0].firstChild;
      write(button, this.name === "category" ? spoken(name) : name);
      button.dataset.value = name;
      const parts = [["bounced", bounced], ["deferred", deferred], ["reject", reject]];
      bar(row.querySelector("svg"), parts, most);
      write(row.cells[1], number(sum(counts)));
    });
    write(this.rest, first.length === 0 ? "None yet" : others ? `and ${number(others)} of others` : "");
  }

  row() {
    const use = (event) => this.filter(this.name, event.currentTarget.dataset.value);
    const button = make("button", { type: "button", className: "name", onclick: use });
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, button, track()),
      make("td", { className: "count" }),
    );
  }
}

function barRow() {
  return make(
    "tr",
    {},
    make("th", { scope: "row" }),
    make("td", { className: "bar", "aria-hidden": "true" }, track()),
    make("td", { className: "count" }),
  );
}

function track() {
  return draw("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" });
}

function bar(svg, parts, most) {
  let x = 0;
  svg.replaceChildren(
    draw("rect", { className: "track", x: 0, y: 0, width: 100, height: 6 }),
    ...parts.map(([kind, count]) => {
      const width = (100 * count) / most;
      x += width;
      return draw("rect", { className: `fill ${kind}`, x: x - width, y: 0, width, height: 6 });
    }),
  );
}
