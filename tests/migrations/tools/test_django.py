import subprocess
from pathlib import Path

import pytest

from tests.migrations.tools.projects import Project, django
from tests.support.archives import sql
from watchdog.migrations.rollback import rollback
from watchdog.migrations.tools.address import Address, Command
from watchdog.migrations.tools.apply import apply_tool

FIRST = """[migrations.CreateModel("Item", [
    ("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=40)),
    ("secret", models.CharField(max_length=40, null=True)),
])]"""
SECOND = """[
    migrations.AddField("item", "slug", models.CharField(max_length=40, null=True)),
    migrations.RunPython(lambda apps, editor: [
        apps.get_model("shop", "Item").objects.filter(pk=one.pk).update(slug=one.name.lower())
        for one in apps.get_model("shop", "Item").objects.all()
    ]),
]"""
THIRD = '[migrations.RemoveField("item", "secret"), migrations.RenameModel("Item", "Thing")]'


@pytest.fixture
def project(tmp_path: Path, tools_python: str) -> Project:
    return django(tmp_path, tools_python, {"0001_first": FIRST, "0002_slug": SECOND, "0003_less": THIRD})


def ask(project: Project, url: str, *words: str) -> str:
    command = Command("django", project.words(*words))
    environment = Address.of(url, 0).environment(command, {"PATH": "/usr/bin:/bin"})
    return subprocess.run(command.words, env=environment, check=True, capture_output=True, text=True).stdout


async def test_what_django_did_is_taken_back_with_its_version(project: Project, pg_database: str, scratch: str) -> None:
    ask(project, pg_database, "migrate", "shop", "0001")
    await sql(pg_database, "INSERT INTO shop_item (name, secret) VALUES ('Ann', 'x'), ('Bob', 'y')")
    done = await apply_tool(pg_database, Command("django", project.words("migrate")), scratch_url=scratch)
    assert done is not None
    assert done.reversible, done
    assert await sql(pg_database, "SELECT name, slug FROM shop_thing ORDER BY id") == [("Ann", "ann"), ("Bob", "bob")]
    await sql(pg_database, "INSERT INTO shop_thing (name, slug) VALUES ('Cid', 'cid')")

    report = await rollback(pg_database, done.run)

    rows = await sql(pg_database, "SELECT id, name, secret FROM shop_item ORDER BY id")
    assert rows == [(1, "Ann", "x"), (2, "Bob", "y"), (3, "Cid", None)]
    assert report.quarantined == 0
    shown = ask(project, pg_database, "showmigrations", "shop")
    assert "[X] 0001_first" in shown
    assert "[ ] 0002_slug" in shown
    ask(project, pg_database, "migrate")
    assert "[X] 0003_less" in ask(project, pg_database, "showmigrations", "shop")
