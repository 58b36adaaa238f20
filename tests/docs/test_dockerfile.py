import ast
import fnmatch
import json
import re
import shlex
from dataclasses import dataclass

from tests.docs.paths import ROOT, text


@dataclass(frozen=True)
class Instruction:
    """One instruction of the Dockerfile.

    Attributes:
        stage: The number of the stage that it stands in.
        rest: What follows its name, on one line.
    """

    stage: int
    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.rest)


def read() -> list[Instruction]:
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text("Dockerfile"), flags=re.MULTILINE))
    found: list[Instruction] = []
    stage = -1
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, rest.strip()))
    return found


INSTRUCTIONS = read()
FINAL = [one for one in INSTRUCTIONS if one.stage == INSTRUCTIONS[-1].stage]


def of(name: str) -> list[Instruction]:
    return [one for one in INSTRUCTIONS if one.name == name]


def last(name: str) -> Instruction:
    """The instruction of this name that holds in the finished image."""
    return [one for one in FINAL if one.name == name][-1]


def test_every_instruction_is_one_that_docker_knows() -> None:
    known = {
        *("FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "VOLUME"),
        *("EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"),
    }
    assert {one.name for one in INSTRUCTIONS} <= known
    assert INSTRUCTIONS[0].name == "FROM"


def test_images_are_named_without_a_registry_and_stages_are_known() -> None:
    stages: set[str] = set()
    for one in of("FROM"):
        image, *alias = one.words
        assert image in stages or re.fullmatch(r"python:3\.\d+-slim", image)
        stages.update(alias[1:])
    assert len(of("FROM")) > 1
    assert {found for one in of("COPY") for found in re.findall(r"--from=(\S+)", one.rest)} <= stages


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    ignore = text(".dockerignore").splitlines()
    assert "*" in ignore
    allowed = [line.removeprefix("!").removesuffix("/**") for line in ignore if line.startswith("!")]
    for one in of("COPY"):
        *sources, _ = [word for word in one.words if not word.startswith("--")]
        for source in sources if "--from" not in one.rest else ():
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed), source


def test_every_file_that_the_wheel_is_made_of_is_copied() -> None:
    copied = {word for one in of("COPY") for word in one.words}
    project = text("pyproject.toml")
    assert {"pyproject.toml", "README.md", "LICENSE", "watchdog"} <= copied
    shipped = re.findall(r'^"([\w.]+)" = "watchdog/shipped/', project, re.MULTILINE)
    assert shipped
    assert set(shipped) <= copied


def test_everything_from_a_registry_is_locked_by_hashes() -> None:
    for one in of("RUN"):
        for command in one.rest.split("&&"):
            if " pip " not in command or " wheel " in command or "--no-index" in command:
                continue
            assert "--require-hashes -r " in " ".join(command.split())
    locked = text("requirements/run.txt")
    assert locked.count("--hash=sha256:") > 100
    assert "://" not in locked


def test_it_runs_as_a_fixed_user_that_is_not_root() -> None:
    user = re.fullmatch(r"(\d+):(\d+)", last("USER").rest)
    assert user
    assert int(user[1]) > 0
    made = " ".join(one.rest for one in FINAL if one.name == "RUN")
    assert f"--uid {user[1]} --gid {user[2]}" in made
    names = [one.name for one in FINAL]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "RUN" not in names[names.index("USER") :]


def test_state_is_on_a_volume_and_nothing_else_is_written() -> None:
    state = last("VOLUME").rest
    assert last("WORKDIR").rest == state
    assert "PYTHONDONTWRITEBYTECODE=1" in last("ENV").words


def test_it_starts_the_daemon_without_a_shell() -> None:
    assert json.loads(last("ENTRYPOINT").rest) == ["watchdog", "run"]
    assert last("STOPSIGNAL").rest == "SIGTERM"


def test_the_health_check_asks_live_over_no_proxy() -> None:
    command = json.loads(last("HEALTHCHECK").rest.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    ast.parse(command[2])
    assert "ProxyHandler({})" in command[2]
    (address,) = [word.partition("=")[2] for word in last("ENV").words if word.startswith("WATCHDOG_HEALTH=")]
    port = last("EXPOSE").rest
    assert address == f"http://127.0.0.1:{port}/health/live"
