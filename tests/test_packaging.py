"""What the product is shipped in: the image and the stack of containers, held to what can be held to without either."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.broker_files import BROKER_CONFIG, kafka_version
from infra.settings import unknown_names
from infra.store import Store
from tests.api.stack import running, settings_in
from tests.commands import assert_is_a_command

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())
OWN = ("topics", "api", "worker", "capture")
"""Services of the stack that run our image."""

FROM_BASE_IMAGES = {"python3": "python", "python3-venv": "python", "maven": "maven", "nodejs": "node", "npm": "node"}
"""Debian packages that setup.sh asks for and an image brings by itself."""

SAME_AS = {"default-jre-headless": "openjdk-17-jre-headless"}


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str


def dockerfile() -> list[Instruction]:
    """Return the instructions, lines that go on joined, comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def instructions(name: str) -> list[str]:
    return [one.text for one in dockerfile() if one.name == name]


def base_images() -> list[str]:
    return [text.split()[0] for text in instructions("FROM")]


def copied_from_here() -> list[str]:
    """Return what is copied from the checkout."""
    copies = [[word for word in text.split() if not word.startswith("--chmod")] for text in instructions("COPY")]
    return [source for words in copies if not words[0].startswith("--from") for source in words[:-1]]


def test_everything_that_is_copied_into_the_image_is_there() -> None:
    for source in copied_from_here():
        assert list(ROOT.glob(source.rstrip("/"))), source


def test_the_image_holds_every_module_and_every_package() -> None:
    copied = copied_from_here()
    wanted = [pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]
    assert [name for name in wanted if f"{name}/" not in copied] == []
    assert "*.py" in copied, "the modules of the front door"
    assert {"models/", "samples/", "pyproject.toml", "constraints.txt"} <= set(copied)


def test_nothing_that_is_copied_is_kept_out_by_the_ignore_file() -> None:
    first, *rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    wanted = {source if "*" in source else source.rstrip("/").split("/")[0] for source in copied_from_here()}
    assert wanted == allowed
    kept_out = {rule for rule in rules if not rule.startswith("!")}
    assert kept_out & set(copied_from_here()) == set()


def test_base_images_are_pinned_to_a_release() -> None:
    for image in base_images():
        assert re.search(r":\d+\.\d+\.\d+", image), image


def test_what_a_checkout_installs_is_in_the_image() -> None:
    script = (ROOT / "infra" / "setup.sh").read_text()
    body = script[script.index("missing_packages()") : script.index('if [ "$what" = test ]')]
    wanted = {name for names in re.findall(r"\|\| echo ([a-z0-9 -]+)$", body, re.MULTILINE) for name in names.split()}
    assert wanted >= {"python3", "tshark"}
    [installed] = [text for text in instructions("RUN") if "apt-get install" in text]
    images = {image.partition(":")[0] for image in base_images()}
    for name in wanted:
        if name in FROM_BASE_IMAGES:
            assert FROM_BASE_IMAGES[name] in images, name
        else:
            assert SAME_AS.get(name, name) in installed.split(), name


def test_the_image_is_never_root_and_says_so_by_number() -> None:
    assert instructions("USER") == ["10001:10001"]


def test_the_command_of_the_image_is_one_of_ours() -> None:
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["tini", "--", "spanwatch"]
    assert_is_a_command(json.loads(instructions("CMD")[0]))


def test_settings_of_the_image_are_settings() -> None:
    names = re.findall(r"\b(SPANWATCH_[A-Z_]+)\b", (ROOT / "Dockerfile").read_text())
    assert unknown_names(dict.fromkeys(names, "")) == []


def test_the_health_check_of_the_image_tells_a_service_that_answers_from_none(store: Store, tmp_path: Path) -> None:
    [text] = instructions("HEALTHCHECK")
    program, *arguments = json.loads(text.partition("CMD")[2])
    assert program == "python"
    with running(settings_in(tmp_path), store) as stack:
        port = stack.settings.ports[0]
        environment = {**os.environ, "SPANWATCH_PORTS": f"{port},9"}
        healthy = subprocess.run([sys.executable, *arguments], env=environment, check=False, capture_output=True)
    ended = subprocess.run([sys.executable, *arguments], env=environment, check=False, capture_output=True)
    assert (healthy.returncode, ended.returncode) == (0, 1), healthy.stderr


def test_the_dockerfile_is_as_hadolint_wants_it() -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([program, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


CAPABLE = (1 << 12) | (1 << 13) | (1 << 23)
"""CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_NICE as bits (capability.h)."""

AS_NOBODY = ("setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups")


@pytest.fixture
def image_programs() -> Iterator[Path]:
    """A folder with what with-net calls in the image, its setpriv with the same capabilities, for everybody to run."""
    if os.geteuid() != 0:
        pytest.skip("only root can give capabilities to a file")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(shutil.which("setpriv") or "", folder / "setpriv-net")
        # struct vfs_cap_data, revision 2, with the effective bit (linux/capability.h); what `setcap …+ep` writes.
        words = (0x02000001, CAPABLE, 0, 0, 0)
        os.setxattr(folder / "setpriv-net", "security.capability", b"".join(w.to_bytes(4, "little") for w in words))
        shutil.copy(ROOT / "infra" / "with-net", folder / "with-net")
        (folder / "tini").write_text('#!/bin/sh\nshift\nexec "$@"\n')
        (folder / "spanwatch").write_text('#!/bin/sh\necho "$(id -u) $*"\ngrep -E "CapAmb|CapEff" /proc/self/status\n')
        for program in ("tini", "spanwatch", "with-net", "setpriv-net"):
            (folder / program).chmod(0o755)
        yield folder


def run_with_net(programs: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{programs}:/usr/bin:/bin"}
    command = [*AS_NOBODY, *options, str(programs / "with-net"), "capture", "--interface", "lo"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_in_the_image_a_capture_has_its_capabilities_without_being_root(image_programs: Path) -> None:
    done = run_with_net(image_programs)
    who, *found = done.stdout.splitlines()
    assert who == "10001 capture --interface lo", done.stderr
    assert [int(line.split()[1], 16) for line in found] == [CAPABLE, CAPABLE]


def test_in_a_container_without_the_capabilities_a_capture_is_refused(image_programs: Path) -> None:
    done = run_with_net(image_programs, "--bounding-set=-net_admin")
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr


def test_with_net_gives_the_capabilities_that_its_program_has() -> None:
    script = (ROOT / "infra" / "with-net").read_text()
    [given] = re.findall(r"setcap (\S+)\+ep /usr/local/bin/setpriv-net", (ROOT / "Dockerfile").read_text())
    handed_on = ",".join(f"+{name.removeprefix('cap_')}" for name in given.split(","))
    assert f"--inh-caps={handed_on} --ambient-caps={handed_on} " in script
    assert (ROOT / "infra" / "with-net").stat().st_mode & stat.S_IXOTH
    capture = COMPOSE["services"]["capture"]
    assert {f"cap_{name.lower()}" for name in capture["cap_add"]} == set(given.split(","))


def test_the_stack_is_as_the_published_schema_of_compose_files_wants_it() -> None:
    spec = importlib.util.find_spec("check_jsonschema")
    assert spec is not None
    [place] = spec.submodule_search_locations or []
    schema = json.loads((Path(place) / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"api": {"comand": ["api"]}}}, schema)


def environment_of(service: str) -> dict[str, Any]:
    return dict(COMPOSE["services"][service].get("environment") or {})


@pytest.mark.parametrize("service", OWN)
def test_every_service_of_ours_runs_a_real_command_with_real_settings(service: str) -> None:
    assert_is_a_command(COMPOSE["services"][service]["command"])
    assert unknown_names(dict.fromkeys(environment_of(service), "")) == []
    assert environment_of(service)["SPANWATCH_KAFKA"]


def test_services_wait_for_what_they_need_and_nobody_else_is_privileged() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services
            if how["condition"] == "service_healthy":
                # Ours is in the image.
                assert "test" in services[needed].get("healthcheck", {}) or needed == "api", needed
        assert "privileged" not in service
        assert ("cap_add" in service) == (name == "capture")
        assert service.get("restart") in ("unless-stopped", "no"), name
        assert name == "topics" or service["deploy"]["resources"]["limits"]["memory"], name


def test_servers_are_of_the_versions_that_the_tests_run_with(store: Store) -> None:
    services = COMPOSE["services"]
    assert services["kafka"]["image"].endswith(f"apache/kafka:{kafka_version()}}}")
    [row] = store.query("SELECT version() AS version")
    engine = ".".join(str(row["version"]).split(".")[:2])
    assert services["clickhouse"]["image"].endswith(f"clickhouse-server:{engine}}}")


def test_kafka_has_the_configuration_that_our_own_has() -> None:
    environment = environment_of("kafka")
    ours = {f"KAFKA_{key.replace('.', '_').upper()}": str(value) for key, value in BROKER_CONFIG.items()}
    same = environment.keys() & ours.keys() - {"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"}
    assert len(same) >= 6
    assert {name: str(environment[name]) for name in same} == {name: ours[name] for name in same}


def test_grafana_has_every_variable_that_its_provisioning_names() -> None:
    used = set()
    for file in (ROOT / "infra" / "grafana" / "provisioning").rglob("*.yaml"):
        used |= set(re.findall(r"\$(?:__env\{)?\{?(SPANWATCH_[A-Z_]+)", file.read_text()))
    given = {name for name in environment_of("grafana") if name.startswith("SPANWATCH_")}
    assert given == used
    assert "SPANWATCH_GRAFANA_CLICKHOUSE_PASSWORD" in environment_of("clickhouse")


def test_every_file_of_ours_that_a_container_is_given_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / "infra" / source).exists(), volume


def test_the_example_explains_every_variable_of_the_stack() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "infra" / "compose.yaml").read_text()))
    used |= {secret["environment"] for secret in COMPOSE["secrets"].values()}
    text = (ROOT / "infra" / "compose.env").read_text()
    explained = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    assert used - explained == {"SPANWATCH_IMAGE", "KAFKA_IMAGE", "CLICKHOUSE_IMAGE", "GRAFANA_IMAGE"}
    assert explained - used == {"COMPOSE_PROFILES"}


def test_no_password_stands_in_the_files() -> None:
    for service in COMPOSE["services"]:
        for name, value in environment_of(service).items():
            if "PASSWORD" in name:
                assert str(value).startswith(("${", "/run/secrets/")), name
    example = (ROOT / "infra" / "compose.env").read_text()
    assert re.findall(r"^\w+PASSWORD=(.*)$", example, re.MULTILINE) == ["", "", ""]


def test_there_is_no_word_of_a_shell_in_what_runs() -> None:
    for service in OWN:
        command = COMPOSE["services"][service]["command"]
        assert command == shlex.split(" ".join(command))
