"""What a user sees when something that the daemon needs is wrong."""

import asyncio
from collections.abc import Callable

from tests.system.daemon_fixtures import Project, Ran, command, edit, project

SECRET = "pl4nted-s3cret"


def unknown_signal(here: Project) -> str:
    edit(here.rules, "of: healthy,", "of: helthy,")
    return f"{here.rules}:11: rules.unhealthy.of: "


def unknown_target(here: Project) -> str:
    edit(here.playbook, "name: second, kind: http, target: api", "name: second, kind: http, target: apy")
    return f"{here.playbook}:8: rungs[0].steps[1].target: "


def empty_ladder(here: Project) -> str:
    here.playbook.write_text("version: 1\nrungs: []\n")
    return f"{here.playbook}:2: rungs: the ladder is empty"


def with_script(here: Project, script: str) -> None:
    edit(here.config, "targets:\n", 'targets:\n  db: {kind: postgres, url: "${env:SHOP_DB}"}\n')
    text = here.playbook.read_text()
    here.playbook.write_text(
        text[: text.index("      - {name: first")]
        + f"      - {{name: undo, kind: sql, target: db, timeout: 20s, script: {script}}}\n"
    )


def unreadable_script(here: Project) -> str:
    with_script(here, "{file: undo.sql}")
    return f"{here.playbook}:7: rungs[0].steps[0].script.file: "


def destructive_script(here: Project) -> str:
    with_script(here, "{file: undo.sql}")
    (here.playbook.parent / "undo.sql").write_text("SELECT 1;\nDROP TABLE users;\n")
    return f"{here.playbook.parent / 'undo.sql'}:2: "


def garbage(here: Project) -> str:
    here.config.write_text("version: 1\nguards: {shop: [\n")
    return f"{here.config}:3: "


def missing(here: Project) -> str:
    here.config.unlink()
    return f"{here.config}: the file cannot be read"


def long_socket(here: Project) -> str:
    edit(here.config, "web: {", f"web: {{socket: {'s' * 110}, ")
    return f"{here.config}:5: web.socket: "


def unset_variable(here: Project) -> str:
    edit(here.config, "SHOP_API", "SHOP_APY")
    return f"{here.config}:4: targets.api.url: the environment variable `SHOP_APY` is not set"


MISTAKES: tuple[Callable[[Project], str], ...] = (
    unknown_signal,
    unknown_target,
    empty_ladder,
    unreadable_script,
    destructive_script,
    garbage,
    missing,
    long_socket,
    unset_variable,
)


async def checked_and_run(mistake: Callable[[Project], str]) -> tuple[str, Ran, Ran, bool]:
    """What a mistake should be called, what `check` and `run` say, and whether anything was begun."""
    with project(SHOP_DB="postgresql://127.0.0.1:9/shop") as here:
        expected = mistake(here)
        check = await command("check", "--config", str(here.config), env=here.env)
        ran = await command("run", "--config", str(here.config), env=here.env)
        return expected, check, ran, here.state.exists()


async def test_every_mistake_in_the_files_is_found_by_check_and_refuses_to_run() -> None:
    found = await asyncio.gather(*(checked_and_run(mistake) for mistake in MISTAKES))
    for mistake, (expected, check, ran, begun) in zip(MISTAKES, found, strict=True):
        name = mistake.__name__
        assert (name, check.status, ran.status, begun) == (name, 1, 1, False)
        print(name, check.out, ran.err)
        assert expected in check.out, (name, check.out)
        assert expected in ran.err, (name, ran.err)
        assert "Traceback" not in check.err + ran.err, name
