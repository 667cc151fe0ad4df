"""The files that settings name: what is told of those that cannot be used."""

from pathlib import Path

import pytest

from service.config_problems import ConfigError
from service.core.classify import builtin_classifier
from service.prepared import prepare
from service.settings import fixed


def test_all_problems_at_once(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[ruel]]")
    settings = fixed(
        {
            "classify": {"rules": [rules]},
            "tls": {
                "listen": ["127.0.0.1:0"],
                "auth_mode": "anon",
                "cert_file": tmp_path / "gone.pem",
                "key_file": tmp_path / "gone.pem",
            },
        }
    )
    with pytest.raises(ConfigError) as caught:
        prepare(settings)
    certificate, rule = caught.value.problems
    assert certificate.startswith("tls.")
    assert rule == f"{rules}: unknown table 'ruel'; did you mean rule?"


def test_where_none_is_named_there_are_the_rules_built_in() -> None:
    assert prepare(fixed({})) == ({}, builtin_classifier())
