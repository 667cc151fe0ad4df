"""`docs/install.md`: what it says to install is there, and where it says things listen, they do."""

import re
import subprocess
from pathlib import Path

from tests.deploy.engine import TOP
from tests.deploy.test_image import read

TEXT = read("docs/install.md")
SYSTEMD, CONTAINER = TEXT.split("\n## ")[1:]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_files_are_installed_where_the_unit_looks(tmp_path: Path) -> None:
    block, compiled, _ = blocks(SYSTEMD)
    (tmp_path / "etc" / "systemd" / "system").mkdir(parents=True)
    commands = [line for line in block.splitlines() if line.startswith("install ")]
    script = "\n".join(commands).replace(" /etc/", f" {tmp_path}/etc/")
    subprocess.run(["sh", "-eu", "-c", script], cwd=TOP, check=True)
    installed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    shipped = {path.name for path in (TOP / "deploy" / "systemd").iterdir()}
    units = {name for name in shipped if name.endswith((".service", ".socket"))}
    assert installed == {
        "etc/sysusers.d/mailfault.conf",
        "etc/mailfault/mailfault.toml",
        *(f"etc/systemd/system/{name}" for name in units),
    }
    service = read("deploy/systemd/mailfault.service")
    assert "--config /etc/mailfault/mailfault.toml\n" in service
    assert "ExecStart=/opt/mailfault/bin/mailfault " in service
    assert "python3 -m venv /opt/mailfault\n" in block
    for name in re.findall(r"--requirement (\S+)", block + compiled):
        assert (TOP / name).is_file()


def test_the_line_that_compiles_takes_the_place_of_the_one_that_does_not() -> None:
    block, compiled, _ = blocks(SYSTEMD)
    third = block.splitlines()[2]
    assert third == "/opt/mailfault/bin/pip install --no-deps ."
    assert f"{third.removesuffix(' --no-deps .')} --no-build-isolation --no-deps ." in compiled
    assert re.findall(r"^([A-Z_]+)=1 ", compiled, re.MULTILINE) == ["MAILFAULT_COMPILE"]
    assert "MAILFAULT_COMPILE" in read("hatch_build.py")


def test_an_upgrade_installs_all_but_the_configuration_and_then_restarts() -> None:
    """It was "install as above", which put the shipped configuration in the place of the site's."""
    first, _, upgrade = blocks(SYSTEMD)
    installing = first.partition("systemctl enable")[0].splitlines()
    once = [line for line in installing if "-m venv" in line or "mailfault.toml" in line]
    assert len(once) == 2
    wanted = [line for line in installing if line and line not in once]
    found = [line for line in upgrade.splitlines() if line]
    check = "/opt/mailfault/bin/mailfault check-config --config /etc/mailfault/mailfault.toml"
    assert [line for line in found[:-1] if line != check] == wanted
    assert found.index(check) == 2, "of the new version, before anything is restarted"
    assert found[-1] == "systemctl restart mailfault.service"


def test_the_table_of_sockets() -> None:
    said = re.findall(r"^\| `(mailfault-\S+\.socket)` \| (UDP|TCP) (\d+) \|", SYSTEMD, re.MULTILINE)
    units = (TOP / "deploy" / "systemd").glob("*.socket")
    assert {name for name, _, _ in said} == {unit.name for unit in units}
    for name, protocol, port in said:
        kind = {"UDP": "ListenDatagram", "TCP": "ListenStream"}[protocol]
        assert f"\n{kind}={port}\n" in read(f"deploy/systemd/{name}")


def test_the_ports_of_the_container() -> None:
    dockerfile = read("deploy/Dockerfile")
    published = re.findall(r"--publish \d+:(\d+)(/udp|/tcp|)", CONTAINER)
    assert len(published) == 3
    for port, protocol in published:
        assert f" {port}{protocol or '/tcp'}" in dockerfile
