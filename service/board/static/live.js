// The feed. A browser's EventSource comes back by itself where the connection broke; where the
// answer was a refusal it does not, and we look why.

const AGAIN_MS = 3000;

export class Live {
  // `heard(kind, data)`: `snapshot` or `update`. `lost()`: the board does not answer.
  constructor(heard, lost) {
    this.heard = heard;
    this.lost = lost;
  }

  open(query) {
    this.query = query;
    this.close();
    const source = new EventSource(`/api/stream?${query}`);
    this.source = source;
    for (const kind of ["snapshot", "update"]) {
      source.addEventListener(kind, (event) => this.heard(kind, JSON.parse(event.data)));
    }
    source.addEventListener("error", () => {
      this.lost();
      if (source.readyState === EventSource.CLOSED) {
        this.timer = setTimeout(() => this.again(), AGAIN_MS);
      }
    });
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
  }

  async again() {
    try {
      const answer = await fetch("/api/events?q=%00");
      if (answer.status === 401) location.assign("/login");
    } catch {
      // not there yet
    }
    this.open(this.query);
  }
}
