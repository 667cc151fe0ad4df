"""The webhook to look at shows what the ready-made subscribers post."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "webhook.py"


def test_it_prints_what_is_posted() -> None:
    ticket = {"action": "open", "event": {"recipient": "bob@example.net", "category": "dns"}}
    with subprocess.Popen([sys.executable, PROGRAM, "0"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().split()[-1]
        with urllib.request.urlopen(url, json.dumps(ticket).encode(), timeout=20) as answer:
            assert answer.status == 204
        process.terminate()
        first, _, rest = process.stdout.read().decode().partition("\n")
    assert first == "ticket: open bob@example.net dns"
    assert json.loads(rest) == ticket
