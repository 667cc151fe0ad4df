// Bars of events per minute, one colour for each type, stacked.

import { byId, draw, make, write } from "./dom.js";
import { KINDS, NAMES, hour, moment, number, rate } from "./words.js";

const HEIGHT = 200;
const EDGE = { top: 10, right: 8, bottom: 22, left: 44 };
// From the ground up: what is lost, what is late, what was refused.
const STACK = ["bounced", "deferred", "reject", "invalid", "resolved"];
const PLACES = STACK.map((kind) => KINDS.indexOf(kind));

export class Chart {
  constructor() {
    this.place = byId("chart");
    this.readout = byId("readout");
    this.table = byId("chart-data");
    this.data = null;
    this.pointed = null;
    this.legend();
    new ResizeObserver(() => this.paint()).observe(this.place);
    this.table.addEventListener("toggle", () => this.fillTable());
    this.place.addEventListener("pointermove", (event) => this.point(event));
    this.place.addEventListener("pointerleave", () => this.point(null));
  }

  show(chart) {
    this.data = chart;
    this.paint();
    this.fillTable();
  }

  legend() {
    this.readout.replaceChildren(
      ...STACK.map((kind) => make("span", { className: `key ${kind}` }, NAMES[kind])),
    );
  }

  point(event) {
    const bars = this.data?.bars.length;
    if (!event || !bars) this.pointed = null;
    else {
      const box = this.place.getBoundingClientRect();
      const inside = box.width - EDGE.left - EDGE.right;
      const at = Math.floor(((event.clientX - box.left - EDGE.left) / inside) * bars);
      this.pointed = at >= 0 && at < bars ? at : null;
    }
    this.mark();
  }

  // The bar under the pointer in words, else what the colours mean.
  mark() {
    this.cursor?.setAttribute("visibility", this.pointed === null ? "hidden" : "visible");
    if (this.pointed === null) {
      if (this.readout.childElementCount !== STACK.length) this.legend();
      return;
    }
    const { start, step, bars } = this.data;
    const bar = bars[this.pointed];
    this.cursor?.setAttribute("x", EDGE.left + this.pointed * this.wide);
    const said = KINDS.map((kind, place) => [kind, bar[place]])
      .filter(([, count]) => count)
      .map(([kind, count]) => `${NAMES[kind].toLowerCase()} ${number(count)}`);
    const from = start + this.pointed * step;
    const until = step > 60 ? `–${hour(from + step)}` : "";
    write(this.readout, `${moment(from).slice(0, -3)}${until}  ${said.join(" · ") || "nothing"}`);
  }

  paint() {
    const width = this.place.clientWidth;
    if (!this.data || !width) return;
    const { start, step, bars } = this.data;
    const perMinute = 60 / step;
    const sums = bars.map((bar) => bar.reduce((sum, count) => sum + count, 0) * perMinute);
    const top = nice(Math.max(...sums, 1));
    const tall = HEIGHT - EDGE.top - EDGE.bottom;
    const inside = width - EDGE.left - EDGE.right;
    this.wide = inside / bars.length;
    const y = (value) => EDGE.top + tall * (1 - value / top);
    const svg = draw("svg", {
      viewBox: `0 0 ${width} ${HEIGHT}`,
      width,
      height: HEIGHT,
      role: "img",
      "aria-label": this.summary(sums),
    });
    for (const value of [0, top / 2, top]) {
      svg.append(
        draw("line", { className: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
        draw("text", { className: "tick", x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, rate(value)),
      );
    }
    this.ticks(svg, start, step, bars.length, width);
    const gap = this.wide > 4 ? 1 : 0;
    for (const [place, kind] of PLACES.map((place, at) => [place, STACK[at]])) {
      let path = "";
      bars.forEach((bar, at) => {
        const count = bar[place];
        if (!count) return;
        const below = PLACES.slice(0, PLACES.indexOf(place)).reduce((sum, p) => sum + bar[p], 0);
        const from = y(below * perMinute);
        const to = y((below + count) * perMinute);
        const x = EDGE.left + at * this.wide;
        path += `M${x.toFixed(2)} ${from.toFixed(2)}V${to.toFixed(2)}H${(x + this.wide - gap).toFixed(2)}V${from.toFixed(2)}Z`;
      });
      if (path) svg.append(draw("path", { className: `fill ${kind}`, d: path }));
    }
    this.cursor = draw("rect", {
      className: "cursor",
      x: EDGE.left,
      y: EDGE.top,
      width: Math.max(this.wide - gap, 1),
      height: tall,
      visibility: "hidden",
    });
    svg.append(this.cursor);
    this.place.replaceChildren(svg);
    this.mark();
  }

  ticks(svg, start, step, bars, width) {
    const most = Math.max(2, Math.floor(width / 110));
    const every = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880]
      .map((minutes) => minutes * 60)
      .find((seconds) => (bars * step) / seconds <= most);
    const zone = new Date(start * 1000).getTimezoneOffset() * 60;
    const first = Math.ceil((start - zone) / every) * every + zone;
    for (let at = first; at < start + bars * step; at += every) {
      const x = EDGE.left + ((at - start) / step) * this.wide;
      if (x > width - EDGE.right - 20) continue;
      svg.append(draw("text", { className: "tick", x, y: HEIGHT - 4, "text-anchor": "middle" }, hour(at)));
    }
  }

  summary(sums) {
    const most = Math.max(...sums);
    const last = sums.at(-2) ?? 0;
    return `Events per minute over time: at most ${rate(most)}, last ${rate(last)}.`;
  }

  fillTable() {
    if (!this.table.open || !this.data) return;
    const { start, step, bars } = this.data;
    const head = make("tr", {}, make("th", { scope: "col" }, "From"));
    for (const kind of KINDS) head.append(make("th", { scope: "col" }, NAMES[kind]));
    const body = make("tbody");
    bars.forEach((bar, at) => {
      const row = make("tr", {}, make("th", { scope: "row" }, moment(start + at * step).slice(0, -3)));
      for (const count of bar) row.append(make("td", {}, number(count)));
      body.prepend(row);
    });
    this.table
      .querySelector(".scroll")
      .replaceChildren(make("table", { className: "plain", "aria-label": "Events by time" }, make("thead", {}, head), body));
  }
}

// The next of 1, 2, 5 times a power of ten.
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value);
}
