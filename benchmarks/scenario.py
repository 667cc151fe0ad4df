"""One thing to measure: how many lines, of which mix, over what, how fast."""

from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.generate import Options
from benchmarks.rsyslogd import Queue

Transport = Literal["tcp", "octet-counted", "udp", "relp", "omrelp"]
"""`omrelp`: RELP as a real rsyslogd speaks it."""


@dataclass(frozen=True)
class Scenario:
    lines: int
    failures: float = 0.2
    transport: Transport = "tcp"
    rate: float | None = None
    """Lines a second; None: as fast as the receiver takes them."""
    hosts: int = 8
    seed: int = 42
    correlation: bool = True
    """Off: events say what their own line says."""
    sharing: bool = True
    """Off: other receivers are told nothing, and not asked."""
    queue: Queue = "own"
    """Of omrelp."""
    connections: int = 1
    """Of TCP and RELP without a rate: at most so many, each with the lines of some hosts."""

    @property
    def name(self) -> str:
        pace = f" at {self.rate:,.0f}/s" if self.rate else ""
        links = f" over {self.connections} connections" if self.connections > 1 else ""
        alone = "" if self.correlation else " alone"
        return f"{self.transport} {self.failures:.0%}{pace}{links}{alone}"

    @property
    def environment(self) -> dict[str, str]:
        """Of the service."""
        parts = {"CORRELATION": self.correlation, "SHARING": self.sharing}
        return {f"MAILFAULT_{name}__ENABLED": "false" for name, is_on in parts.items() if not is_on}

    @property
    def log(self) -> Options:
        return Options(self.lines, self.failures, self.hosts, self.seed)

    def scaled(self, share: float) -> "Scenario":
        return replace(self, lines=max(1000, int(self.lines * share)))


PLAN = (
    Scenario(1_000_000),
    Scenario(500_000, failures=0.05),
    Scenario(200_000, failures=1.0),
    Scenario(300_000, transport="octet-counted"),
    Scenario(150_000, rate=10_000),
)
"""`make bench`: about three minutes, with what is compared."""

BESIDE_LINES = 600_000
BESIDE_TURNS = 3
"""After either plan: what is compared by turns."""

FULL_PLAN = (
    Scenario(5_000_000),
    Scenario(2_000_000, failures=0.05),
    Scenario(500_000, failures=1.0),
    Scenario(1_000_000, transport="octet-counted"),
    Scenario(1_000_000, transport="udp", rate=50_000),
    Scenario(3_000_000, transport="udp", rate=100_000),
    Scenario(300_000, rate=10_000),
)
