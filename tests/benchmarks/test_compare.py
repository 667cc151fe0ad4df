"""Two commits side by side: the right files, and nothing left behind in the repository."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.compare import check_out, ratio
from benchmarks.processes import ProcessError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "service").mkdir(parents=True)

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t.example"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    for word in ("old", "new"):
        (root / "service" / "__init__.py").write_text(f"{word} = 1\n")
        git("add", ".")
        git("commit", "--message", word)
    (root / "service" / "__init__.py").write_text("dirty = 1\n")
    return root


@pytest.mark.parametrize(("commit", "text"), [("HEAD", "new = 1\n"), ("HEAD~1", "old = 1\n")])
def test_checks_out_a_commit(repository: Path, tmp_path: Path, commit: str, text: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    tree = check_out(commit, work, repository)
    assert (tree / "service" / "__init__.py").read_text() == text
    assert (repository / "service" / "__init__.py").read_text() == "dirty = 1\n"
    assert not (repository / ".git" / "worktrees").exists()


def test_two_commits_get_two_trees(repository: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    assert check_out("HEAD", work, repository) != check_out("HEAD~1", work, repository)


def test_a_dot_is_the_tree_as_it_stands(repository: Path, tmp_path: Path) -> None:
    assert check_out(".", tmp_path, repository) == repository


def test_an_unknown_commit_is_named(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="no commit nosuch"):
        check_out("nosuch", tmp_path, repository)


def test_ratio_of_medians() -> None:
    assert ratio([1.0, 2.0, 90.0], [4.0, 5.0, 3.0]) == 2.0
