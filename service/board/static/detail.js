// One event in full, and the story of its message.

import { byId, make, write } from "./dom.js";
import { NAMES, iso, moment, span, spoken } from "./words.js";

const TROUBLE = {
  404: "This event is no longer in the stream.",
  503: "NATS is away. The event can be read when it is back.",
};

export class Detail {
  // `opened(seq)`: null when it is closed.
  constructor(opened) {
    this.sheet = byId("detail");
    this.body = byId("detail-body");
    this.title = byId("detail-title");
    this.opened = opened;
    this.wanted = null;
    byId("detail-close").addEventListener("click", () => this.sheet.close());
    this.sheet.addEventListener("close", () => {
      this.wanted = null;
      this.opened(null);
    });
    this.sheet.addEventListener("click", (event) => {
      if (event.target === this.sheet) this.sheet.close(); // beside it
    });
  }

  async open(seq) {
    this.wanted = seq;
    this.opened(seq);
    write(this.title, "Event");
    this.body.replaceChildren(make("p", { className: "hint" }, "Reading"));
    if (!this.sheet.open) this.sheet.showModal();
    let found = null;
    let trouble = "The board does not answer.";
    try {
      const answer = await fetch(`/api/events/${seq}`);
      if (answer.ok) found = await answer.json();
      else trouble = TROUBLE[answer.status] ?? trouble;
    } catch {
      // said below
    }
    if (this.wanted !== seq) return; // another one was asked for meanwhile
    if (found) this.show(found);
    else this.body.replaceChildren(make("p", { className: "note", role: "alert" }, trouble));
    this.title.focus();
  }

  show({ seq, event, story }) {
    const who = event.recipient ?? "unknown recipient";
    write(this.title, `${NAMES[event.event_type]}: ${who}`);
    const parts = [
      facts(event),
      said(event),
      this.story(seq, story),
      make("h3", {}, "Every field"),
      fields(event),
      event.raw ? make("h3", {}, "The line as received") : null,
      event.raw ? make("pre", { tabindex: "0" }, event.raw) : null,
      make(
        "details",
        { className: "fold" },
        make("summary", {}, "The event as JSON"),
        make("pre", { tabindex: "0" }, ...lines(JSON.stringify(event, null, 2))),
      ),
    ];
    this.body.replaceChildren(...parts.filter((part) => part !== null));
  }

  story(seq, story) {
    const list = make("ol", { className: "story" });
    const began = story[0].at;
    // What an attempt has in common with the one before it need not be read again.
    let place = "";
    let response = "";
    for (const part of story) {
      const here = `${part.mta} ${part.queue_id ?? ""} · ${part.recipient ?? "unknown recipient"}`;
      const isElsewhere = here !== place;
      const isNews = part.response !== response;
      [place, response] = [here, part.response];
      const after = part.at > began ? `+${span(part.at - began)}` : "";
      list.append(
        make(
          "li",
          { className: part.kind, "aria-current": part.seq === seq ? "true" : null },
          make(
            "button",
            { type: "button", className: "row", onclick: () => this.open(part.seq) },
            make("span", { className: "when" }, make("time", { datetime: iso(part.at) }, moment(part.at)), ` ${after}`),
            make("b", {}, `${NAMES[part.kind]} ${part.code ?? ""}`),
            isElsewhere ? make("span", { className: "more" }, here) : null,
            isNews ? make("span", { className: "more" }, part.response ?? "") : null,
          ),
        ),
      );
    }
    const known = story.length === 1 ? "This is all that is known of it." : "";
    return make(
      "section",
      { "aria-labelledby": "story-title" },
      make("h3", { id: "story-title" }, "The story of its message"),
      list,
      make("p", { className: "hint" }, known),
    );
  }
}

function facts(event) {
  const rows = [
    ["When", moment(Date.parse(event.event_time) / 1000)],
    ["MTA", event.mta.host],
    ["Queue id", event.queue_id],
    ["From", event.sender === "" ? "<> (a notice)" : event.sender],
    ["To", event.recipient],
    ["Code", [event.smtp_code, event.enhanced_code].filter(Boolean).join(" ")],
    ["Cause", spoken(event.category)],
    ["Who can act", event.scope],
    ["Provider", [event.provider, event.provider_code].filter(Boolean).join(" ")],
    ["Client", event.client && [event.client.name, event.client.ip].filter(Boolean).join(" ")],
    ["HELO", event.helo],
    ["Attempt", event.attempt],
    ["Outcome", event.outcome],
  ];
  return pairs("facts", rows.filter(([, value]) => value));
}

function said(event) {
  return event.response ? make("blockquote", {}, event.response) : null;
}

function fields(event) {
  const rows = [];
  const walk = (value, path) => {
    if (value !== null && typeof value === "object") {
      for (const [name, inner] of Object.entries(value)) walk(inner, path ? `${path}.${name}` : name);
    } else if (value !== null && path !== "raw") rows.push([path, value]);
  };
  walk(event, "");
  return pairs("fields", rows);
}

function pairs(className, rows) {
  const list = make("dl", { className });
  for (const [name, value] of rows) list.append(make("dt", {}, name), make("dd", {}, String(value)));
  return list;
}

// Line ends of our own making are the only ones that are line ends.
function lines(text) {
  return text.split("\n").flatMap((line, at) => (at ? [make("br"), line] : [line]));
}
