// Numbers and times as people read them.

export const KINDS = ["reject", "deferred", "bounced", "resolved", "invalid"];
export const NAMES = {
  reject: "Rejected",
  deferred: "Deferred",
  bounced: "Bounced",
  resolved: "Resolved",
  invalid: "Unreadable",
};

const NUMBER = new Intl.NumberFormat("en");
const ONE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const HOUR = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });

export const number = (value) => NUMBER.format(value);
export const rate = (value) => ONE.format(value);
export const clock = (seconds) => CLOCK.format(seconds * 1000);
export const hour = (seconds) => HOUR.format(seconds * 1000);

// With the day where it is not today.
export function moment(seconds) {
  const day = DAY.format(seconds * 1000);
  return day === DAY.format(Date.now()) ? clock(seconds) : `${day}, ${clock(seconds)}`;
}

export const iso = (seconds) => new Date(seconds * 1000).toISOString();

// "42 s", "12 min", "3 h", "2 d": to the first place only, with a half where that says more.
export function span(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${ONE.format(Math.round(seconds / 1800) / 2)} h`;
  return `${ONE.format(Math.round(seconds / 43200) / 2)} d`;
}

// `unknown_user` is a word of the vocabulary; here it is read.
export const spoken = (word) => (word ?? "").replaceAll("_", " ");
