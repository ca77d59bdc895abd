"""What ``deploy/`` holds: units that systemd takes, containers that call commands that exist."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.config import read_configuration

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def options_of(command: str) -> str:
    """Return the help of a command, which fails if there is no such command."""
    done = subprocess.run(
        [sys.executable, "-m", "workers.cli", *command.split(), "--help"],
        cwd=DEPLOY.parent,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def compose() -> dict[str, dict[str, object]]:
    services: dict[str, dict[str, object]]
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return services


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    # The program is at its place only where it was installed; any will do for the check.
    name = unit.name.replace("@.", "@stat.")
    copy = tmp_path / name
    copy.write_text(unit.read_text().replace("/opt/vesalius/bin/vesalius", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    about_it = [line for line in done.stderr.splitlines() if name in line or str(copy) in line]
    assert about_it == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_command_of_a_unit_exists(unit: Path) -> None:
    [line] = [t for t in unit.read_text().splitlines() if t.startswith("ExecStart=")]
    program, command, *words = line.removeprefix("ExecStart=").split()
    assert program == "/opt/vesalius/bin/vesalius"
    told = options_of(command)
    assert [word for word in words if word.startswith("--") and word not in told] == []


def test_containers_call_commands_that_exist() -> None:
    ours = {name: s for name, s in compose().items() if s["image"] == "vesalius"}
    beside_a_pacs = {"receive", "assemble", "deliver"}
    assert set(ours) == {"migrate", "dispatch", "worker", "monitor", "submit"} | beside_a_pacs
    for service in ours.values():
        entry, command = service.get("entrypoint"), service.get("command")
        words = entry[1:] if isinstance(entry, list) else command
        assert isinstance(words, list)
        options = [word for word in words if word.startswith("--")]
        names = " ".join(words[: words.index(options[0])] if options else words)
        assert [word for word in options if word not in options_of(names)] == []


def test_the_containers_settings_are_settings() -> None:
    configuration = read_configuration(DEPLOY / "container.toml")
    assert configuration.service.output == Path("/results")
    published = {name: s["ports"] for name, s in compose().items() if "ports" in s}
    port, dimse = configuration.monitoring.port, configuration.receive.port
    assert published == {"monitor": [f"127.0.0.1:{port}:{port}"], "receive": [f"{dimse}:{dimse}"]}


def test_what_the_image_copies_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for name in re.findall(r"/src/([a-z.-]+\.lock)", text):
        assert (DEPLOY.parent / name).is_file()
    assert "USER vesalius" in text.splitlines()


def test_the_image_installs_nothing_without_a_digest() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    calls = re.findall(r"/pip install[^&\n]*", text)
    assert len(calls) == 3
    for call in calls:
        of_the_source = call.rstrip().endswith("/src")
        assert "--no-deps" in call
        assert of_the_source or "--require-hashes" in call
        assert not of_the_source or "--no-build-isolation" in call


HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
    "User": "vesalius",
}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_may_do_no_more_than_it_needs(unit: Path) -> None:
    lines = [line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line]
    found = {key: value for key, value in lines if not key.startswith("#")}
    assert {key: found.get(key) for key in HARDENING} == HARDENING
    filters = [value for key, value in lines if key == "SystemCallFilter"]
    assert filters == ["@system-service", "~@privileged"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_little_that_a_unit_is_exposed_to(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze judges no unit that is not installed")
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_a_container_of_ours_may_write_where_it_must_and_gain_nothing() -> None:
    services = compose()
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"], name  # type: ignore[operator]
        assert "seccomp:unconfined" not in str(service["security_opt"])
        for key in ("privileged", "cap_add", "devices", "pid", "network_mode", "ipc"):
            assert key not in service, f"{name} has {key}"
        assert "docker.sock" not in str(service.get("volumes"))
    for service in (each for each in services.values() if each["image"] == "vesalius"):
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "10001:10001"
        assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - of the container
