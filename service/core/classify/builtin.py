"""The rules that come with the package, read once when it is imported.

`FILES` is their order of precedence: what a provider documents, what Postfix writes, then block
lists and reputation, before anything that blames the recipient; then wordings that many servers
share, other languages than English, words that together name a cause wherever they stand, and last
what codes alone say.
"""

import tomllib
from importlib.resources import files

from service.core.classify.classifier import compile_rules

FILES = (
    "providers.toml",
    "google.toml",
    "microsoft.toml",
    "yahoo.toml",
    "mailboxes.toml",
    "gateways.toml",
    "postfix.toml",
    "delivery.toml",
    "reputation.toml",
    "recipients.toml",
    "wording.toml",
    "languages.toml",
    "families.toml",
    "codes.toml",
)


def builtin_tables() -> list[dict[str, object]]:
    """Parsed, in order: to compile them again behind an operator's own."""
    folder = files("service.core.classify") / "rules"
    return [tomllib.loads((folder / name).read_text("utf-8")) for name in FILES]


classify = compile_rules(builtin_tables()).classify
"""Facts to a verdict, by the built-in rules."""
