"""`docs/board.md` is what the board does."""

import re
import tomllib
from pathlib import Path

from schemas import Category
from service import settings
from service.board import feed, waiting
from service.board.config import TOKEN_MIN, BoardConfig
from service.board.leaders import SLICES

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "board.md").read_text()
PICTURE_MAX = 300_000


def test_the_configuration_is_one(tmp_path: Path) -> None:
    [block] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "c.toml"
    file.write_text(block)
    loaded = settings.load(file)
    assert loaded.board.listen == tomllib.loads(block)["board"]["listen"]
    assert loaded.board.has_authentication


def test_every_setting_named_there_is_one_and_every_bound_is_true() -> None:
    default = BoardConfig()
    bounds = dict.fromkeys(re.findall(r"^\|.*?`([a-z_]+)` \(", TEXT, re.MULTILINE), default)
    assert bounds.keys() == {"events", "history", "names", "waiting", "mtas", "clients"}
    for said in (
        f"`history_events` ({default.history_events:,})",
        f"`events` ({default.events:,})",
        f"`names` ({default.names}) of a kind in each of {SLICES} slices",
        f"`waiting` ({default.waiting:,})",
        f"`mtas` ({default.mtas})",
        f"`clients` ({default.clients})",
        f"`waiting_quiet` ({default.waiting_quiet / 3600:.0f} hours)",
        f"{feed.ROWS} events, twice a second",
        f"at least {TOKEN_MIN} characters",
    ):
        assert said in TEXT, said
    assert default.history == 86_400
    assert feed.LOOK_SECONDS == 0.5
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", TEXT))
    unknown = named - BoardConfig.model_fields.keys() - set(Category) - {"proxy_buffering"}
    assert unknown == set()


def test_the_pictures_are_there_and_small() -> None:
    for name in re.findall(r"\((board-[a-z]+\.png)\)", TEXT):
        picture = (DOCS / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < PICTURE_MAX


def test_ages_of_the_page_are_those_of_the_board() -> None:
    """`panels.js` has them in words, one for each end and one for what is beyond."""
    panels = Path(waiting.__file__).with_name("static") / "panels.js"
    [words] = re.findall(r"const AGES = \[(.*?)\];", panels.read_text())
    assert len(words.split('", "')) == len(waiting.AGES) + 1
