"""The README and the reference in `docs/` are what the software does. That their commands run is
`tests/documents/`."""

import json
import re
from pathlib import Path

import schemas
from service.cli import app
from service.core.classify import rule
from service.core.classify.compiling import MAX_PROVIDERS, MAX_RULES, MAX_SIZE
from service.core.classify.conditions import MAX_PHRASE
from service.core.classify.values import MAX_LISTED
from service.rules_files import MAX_BYTES, MAX_FILES
from tests import events_page
from tests.cli.run import objects, run
from tests.documents.blocks import documents
from tests.settings_table import CONFIGURATION, rows, with_table

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text()
RULES = (TOP / "docs" / "rules.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_table_of_settings_is_generated_and_fresh() -> None:
    text = CONFIGURATION.read_text()
    assert with_table(text) == text


def test_every_setting_is_described() -> None:
    assert [path for path, _, description in rows() if not description] == []


def test_events_are_shown_with_fields_that_exist() -> None:
    shown = [json.loads(block) for block in blocks(README, "json")]
    assert {event["event_type"] for event in shown} == {"reject", "deferred", "bounced", "resolved"}
    for event in shown:
        model = schemas.codec.MODELS[event["event_type"]]
        assert event.keys() <= model.model_fields.keys()
        example = json.loads(schemas.samples.example_bytes(event["event_type"]))
        for name, value in event.items():
            if isinstance(value, dict):
                assert value.keys() <= example[name].keys(), name


def test_the_rule_of_ones_own_does_what_is_said_of_it(tmp_path: Path) -> None:
    [rules] = [block for block in blocks(RULES, "toml") if "[[rule]]" in block]
    [config] = [block for block in blocks(RULES, "toml") if "[classify]" in block]
    [line] = blocks(RULES, "log")
    file, named = tmp_path / "rules.toml", "/etc/mailfault/rules.toml"
    assert named in rules
    assert named in config
    file.write_text(rules)
    (tmp_path / "c.toml").write_text(config.replace(named, str(file)))

    def event(*options: str | Path) -> tuple[str | None, ...]:
        (found,) = objects(run("parse", *options, data=line.encode()).stdout)
        return found["category"], found["scope"], found["provider"], found["provider_code"]

    own = ("mailbox_full", "recipient", "example-net", "EX-017")
    assert event("--config", tmp_path / "c.toml") == own
    assert event()[2:] == (None, None), "without it"
    assert event() != own


def test_keys_and_bounds_of_rules_are_those_of_the_code() -> None:
    named = set(re.findall(r"`([a-z]+)`", RULES))
    named |= set(re.findall(r"^([a-z]+) = ", RULES, re.MULTILINE))
    assert set(rule.parsers([])) <= named
    for bound in (
        f"{MAX_FILES}\nfiles",
        f"{MAX_BYTES // 1024} KiB",
        f"{MAX_RULES:,} rules",
        f"{MAX_PROVIDERS} providers",
        f"{MAX_SIZE:,} phrases and codes",
        f"{MAX_LISTED} values in a list",
        f"{MAX_PHRASE}\ncharacters in a phrase",
    ):
        assert bound in RULES, bound


def test_every_command_is_in_the_reference() -> None:
    names = {command.name for command in app.registered_commands}
    names |= {group.name for group in app.registered_groups}
    assert names == set(re.findall(r"^\| `mailfault ([a-z-]+)", README, re.MULTILINE))


def test_every_link_leads_somewhere() -> None:
    for name in documents():
        text = (TOP / name).read_text()
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = target.partition("#")
            if "://" in target:
                continue
            file = (TOP / name).parent / path if path else TOP / name
            assert file.exists(), f"{name}: {target}"
            if heading:
                assert heading in headings(file.read_text()), f"{name}: {target}"


def headings(text: str) -> set[str]:
    """As links name them."""
    found = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in found}


def test_the_page_of_events_is_generated_and_fresh() -> None:
    assert events_page.page() == events_page.PAGE.read_text()


def test_the_page_of_events_leaves_no_field_out() -> None:
    text = events_page.PAGE.read_text()
    for kind, model in schemas.codec.MODELS.items():
        table = text.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| (.+?) \| [^|]*\|$", table, re.MULTILINE)
        assert {name for name, meaning in rows if "." not in name and meaning} == set(
            model.model_fields
        )


def test_each_alert_has_a_section_that_says_what_to_do() -> None:
    rules = (TOP / "deploy" / "prometheus" / "mailfault.rules.yml").read_text()
    alerts = re.findall(r"^ *- alert: (\w+)$", rules, re.MULTILINE)
    text = (TOP / "docs" / "operating.md").read_text()
    assert alerts
    assert re.findall(r"^### (Mailfault\w+)$", text, re.MULTILINE) == alerts
