"""Every command in the documents does what it says: each document is run from its beginning to its
end on a machine of its own. What is not run here says why, or which test runs it."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.documents.blocks import FENCE, REASONS, TOP, BadBlock, Block, blocks, documents
from tests.documents.session import Failed, can_make_machines, run
from tests.e2e.packages import require_program

ALL = {document: blocks(document) for document in documents()}
RUN = {
    document: here
    for document, found in ALL.items()
    if (here := [block for block in found if block.is_run_here])
}


@pytest.mark.e2e
@pytest.mark.timeout(400)
@pytest.mark.parametrize("document", RUN)
async def test_a_document_does_what_it_says(document: str, tmp_path: Path) -> None:
    _require_machines()
    await run(RUN[document], tmp_path)


@pytest.mark.parametrize(
    "block",
    [block for found in ALL.values() for block in found if block.language == "sh"],
    ids=lambda block: block.place,
)
def test_a_shell_can_read_it(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_documents_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/guarantees.md", "deploy/README.md"} <= set(ALL)
    assert "README.md" in RUN


def test_most_of_it_is_run() -> None:
    counts = Counter(
        "here" if block.is_run_here else block.reason or "by another test"
        for found in ALL.values()
        for block in found
    )
    not_run = sum(count for why, count in counts.items() if why.startswith(REASONS))
    assert not_run < counts["here"] + counts["by another test"], counts


def test_the_tests_that_run_it_exist() -> None:
    named = {block.test for found in ALL.values() for block in found if block.test}
    assert [name for name in named if not (TOP / name.partition("::")[0]).exists()] == []


def test_what_is_not_here_yet_is_not_here() -> None:
    late = [
        block for found in ALL.values() for block in found if "not here yet" in str(block.reason)
    ]
    for block in late:
        path = str(block.reason).partition(": ")[2]
        assert not (TOP / path).exists(), f"{block.place}: {path} is here, so run it"


def test_a_comment_that_cannot_be_read_is_an_error() -> None:
    fence = "```sh\ntrue\n```\n"
    for note in ("not run", "not run: no time", "skip"):
        with pytest.raises(BadBlock):
            blocks("x.md", f"<!-- {note} -->\n{fence}")
    [block] = blocks("x.md", fence)
    assert block.is_run_here


def test_no_block_is_left_out_by_its_form() -> None:
    [block] = blocks("x.md", "1. so\n\n   <!-- says: x -->\n   ```sh\n   echo x\n   ```\n")
    assert (block.text, block.says) == ("echo x\n", "x")
    for language in ("bash", "shell", "console", "Python"):
        with pytest.raises(BadBlock):
            blocks("x.md", f"```{language}\ntrue\n```\n")


def test_it_finds_every_fence() -> None:
    for document in ALL:
        text = (TOP / document).read_text()
        fences = re.findall(r"^ *(?:```|~~~)", text, re.MULTILINE)
        assert len(fences) == 2 * len(list(FENCE.finditer(text))), document


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```sh\necho so; false; echo no\n```\n", "x.md:1: status 1"),
        ("<!-- says: yes -->\n```sh\necho no\n```\n", "wanted 'yes'"),
        (
            "<!-- keeps running: says yes -->\n```sh\necho no\n```\n",
            "ended without a word of 'yes'",
        ),
        ("<!-- keeps running: says a, later b -->\n```sh\necho a; sleep 1\n```\n", "of 'b'"),
        ("<!-- keeps running -->\n```sh\ntrue\n```\n```sh\nsleep 1\n```\n", "not keep running"),
        ("```python\nraise SystemExit(3)\n```\n", "status 3"),
    ],
)
async def test_what_goes_wrong_is_told(text: str, wrong: str, tmp_path: Path) -> None:
    _require_machines()
    with pytest.raises(Failed, match=wrong):
        await run(blocks("x.md", text), tmp_path)


@pytest.mark.e2e
async def test_what_a_document_writes_is_gone(tmp_path: Path) -> None:
    _require_machines()
    text = "```sh\necho x | sudo tee /etc/mailfault-was-here made-by-a-document\n```\n"
    await run(blocks("x.md", text), tmp_path)
    assert _there("/etc/mailfault-was-here", TOP / "made-by-a-document") == []


def _there(*paths: str | Path) -> list[Path]:
    return [path for path in map(Path, paths) if path.exists()]


def _require_machines() -> None:
    if not can_make_machines():
        pytest.skip("a machine for a document needs root, and unshare of util-linux")
    require_program("rsyslogd", "rsyslog")
    require_program("postfix", "postfix")
    require_program("ip", "iproute2")
