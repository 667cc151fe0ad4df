// What the page is about to show stands in its address; everything else comes through the feed.

import { Chart } from "./chart.js";
import { Detail } from "./detail.js";
import { byId, make, write } from "./dom.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { Panels } from "./panels.js";
import { KINDS, NAMES, hour, moment, number, span, spoken } from "./words.js";

const FIELDS = ["mta", "category", "domain", "provider", "q"];
const TYPING_MS = 250;

const filters = byId("filters");
const ranges = byId("ranges");
const chart = new Chart();
const list = new List(open, older);
const panels = new Panels(filter, open);
const detail = new Detail((seq) => remember(seq));
const live = new Live(hear, () => say("lost", "The board does not answer. Trying again"));
let asked = false; // whether the next snapshot is the answer to a filter

byId("kinds").append(
  ...KINDS.map((kind) =>
    make(
      "label",
      {},
      make("input", { type: "checkbox", name: "type", value: kind }),
      make("span", { className: `key ${kind}` }, NAMES[kind]),
    ),
  ),
);

function query() {
  const words = new URLSearchParams();
  const range = ranges.querySelector(":checked").value;
  words.set("range", range);
  const kinds = [...filters.querySelectorAll("[name=type]:checked")].map((box) => box.value);
  if (kinds.length) words.set("type", kinds.join(","));
  for (const name of FIELDS) {
    // "unknown user" is read, `unknown_user` is the word.
    let value = filters.elements[name].value.trim();
    if (name === "category") value = value.replaceAll(" ", "_");
    if (value) words.set(name, value);
  }
  return words;
}

// From the address into the form.
function recall() {
  const words = new URLSearchParams(location.search);
  for (const box of ranges.querySelectorAll("input")) {
    if (box.value === words.get("range")) box.checked = true;
  }
  const kinds = (words.get("type") ?? "").split(",");
  for (const box of filters.querySelectorAll("[name=type]")) box.checked = kinds.includes(box.value);
  for (const name of FIELDS) filters.elements[name].value = words.get(name) ?? "";
}

function remember(seq) {
  const mark = seq === null ? "" : `#event=${seq}`;
  history.replaceState(null, "", `?${query()}${mark}`);
}

function begin() {
  remember(detail.wanted);
  list.hold(false);
  live.open(query());
}

function changed() {
  asked = true;
  begin();
}

function filter(name, value) {
  filters.elements[name].value = name === "category" ? spoken(value) : value;
  changed();
}

function open(seq) {
  if (seq) detail.open(seq);
}

async function older(before) {
  const words = query();
  words.set("before", before);
  const answer = await fetch(`/api/events?${words}`).catch(() => null);
  if (!answer?.ok) return;
  const { events, more } = await answer.json();
  list.append(events, more);
}

function hear(kind, { picture, events, more, mtas }) {
  if (kind === "snapshot") {
    list.replace(events, more);
    byId("mtas").replaceChildren(...(mtas ?? []).map((name) => make("option", { value: name })));
    if (asked) {
      const count = `${number(events.length)}${more ? " newest" : ""}`;
      write(byId("events-state"), events.length === 1 ? "1 event matches" : `${count} events match`);
    }
    asked = false;
  } else list.add(events, more);
  chart.show(picture.chart);
  panels.show(picture);
  suggest(picture.leaders.category.first.map(([name]) => spoken(name)));
  sayState(picture);
}

function suggest(causes) {
  const known = byId("categories");
  if (known.dataset.causes === causes.join()) return;
  known.dataset.causes = causes.join();
  known.replaceChildren(...causes.map((name) => make("option", { value: name })));
}

function sayState(picture) {
  const { nats, to_read: left } = picture;
  if (nats.away_since) say("away", `NATS away since ${moment(nats.away_since)}`);
  else if (nats.trouble) say("away", `NATS: ${nats.trouble}`);
  else if (left === null) say("wait", "Looking for the stream");
  else if (left > 1000) say("wait", `Reading the history: ${number(left)} to go`);
  else say("live", "Live");
  byId("logout").hidden = !picture.has_token;
  write(byId("range-all"), picture.history % 86400 ? span(picture.history) : days(picture.history));
  const notes = [];
  if (picture.is_cut) notes.push("The history has more events than are read at the start: the numbers begin later.");
  if (picture.unreadable) notes.push(`${number(picture.unreadable)} messages in the stream were no events.`);
  if (picture.waiting.forgotten) notes.push(`${number(picture.waiting.forgotten)} deferred recipients were forgotten to stay within the bound.`);
  byId("notes").hidden = !notes.length;
  write(byId("notes"), notes.join(" "));
  const outside = picture.outside ? `, ${number(picture.outside)} of a time before the history: listed, not counted` : "";
  write(byId("read"), `${number(picture.read)} messages read${outside}. Times are of this browser's zone; last look ${hour(picture.now)}.`);
}

function days(seconds) {
  return seconds === 86400 ? "24 hours" : `${seconds / 86400} days`;
}

function say(state, words) {
  byId("link").dataset.state = state;
  write(byId("link-text"), words);
}

let typing;
filters.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(changed, TYPING_MS);
});
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(changed));
ranges.addEventListener("change", begin);
byId("hold").addEventListener("click", () => (list.isHeld ? begin() : list.hold(true)));
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input, textarea, select");
  if (event.key !== "/" || isTyping || detail.wanted !== null || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  filters.elements.q.focus();
});
addEventListener("pagehide", () => live.close());
addEventListener("pageshow", (event) => event.persisted && begin());

const marked = /^#event=(\d{1,15})$/.exec(location.hash);
recall();
begin();
if (marked) open(Number(marked[1]));
