import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from watchdog.migrations.tools.address import Address, Command, names_its_address, status_words
from watchdog.migrations.tools.known import TOOLS

URL = "postgresql://an%40n:p%2Fw@db.example:6432/my%20shop?sslmode=require&options=-c%20work_mem%3D1MB"


def test_every_form_leads_to_the_same_database() -> None:
    address = Address.of(URL, 7)
    parts = conninfo_to_dict(address.filled("{url}"))
    assert parts == {
        "host": "db.example", "port": "6432", "user": "an@n", "password": "p/w", "dbname": "my shop",
        "sslmode": "require", "options": "-c work_mem=1MB -c watchdog.tool=7", "application_name": "watchdog tool 7",
    }  # fmt: skip
    assert address.filled("{user}|{password}|{host}|{port}|{dbname}") == "an@n|p/w|db.example|6432|my shop"
    jdbc = address.filled("{jdbc_url}")
    assert jdbc.startswith("jdbc:postgresql://db.example:6432/my%20shop?sslmode=require&options=")
    assert "p%2Fw" not in jdbc


def test_the_environment_replaces_what_would_lead_elsewhere() -> None:
    had = {"PGHOST": "old", "PGSERVICE": "old", "PGHOSTADDR": "1.2.3.4", "DATABASE_URL": "old", "HOME": "/home"}
    environment = Address.of(URL, 7).environment(Command("flyway", ("flyway", "migrate"), ("MY_URL",)), had)
    assert "old" not in environment.values()
    assert "PGHOSTADDR" not in environment
    assert environment["HOME"] == "/home"
    assert environment["PGDATABASE"] == "my shop"
    assert environment["PGSSLMODE"] == "require"
    assert environment["PGOPTIONS"].endswith("-c watchdog.tool=7")
    assert environment["MY_URL"] == environment["DATABASE_URL"]
    assert environment["FLYWAY_PASSWORD"] == "p/w"


def test_settings_with_spaces_are_escaped() -> None:
    options = Address.of(URL, 0, role="an owner", search_path='"$user", public').options
    assert options.endswith(r'-c watchdog.tool=0 -c role=an\ owner -c search_path="$user",\ public')


def test_a_tool_that_reads_no_environment_gets_words() -> None:
    address = Address.of("postgresql://u@h/d", 1)
    said = address.words(Command("golang-migrate", ("migrate", "-path", "x", "up")))
    assert said == ("migrate", "-database", address.filled("{url}"), "-path", "x", "up")
    own = Command("golang-migrate", ("migrate", "-database", "{url}&x=1", "up"))
    assert address.words(own) == ("migrate", "-database", address.filled("{url}&x=1"), "up")


@pytest.mark.parametrize(
    ("tool", "said", "status"),
    [
        ("alembic", "alembic -c a.ini upgrade head", "alembic -c a.ini current"),
        ("django", "python manage.py migrate shop", "python manage.py showmigrations"),
        ("golang-migrate", "migrate -path x up", "migrate -path x version"),
        ("prisma", "npx prisma migrate deploy --schema a.prisma", "npx prisma migrate status --schema a.prisma"),
        ("prisma", "npx prisma migrate reset", None),
        ("flyway", "flyway -x=y migrate", "flyway -x=y info"),
        ("alembic", "make migrate", None),
        ("other", "psql -f up.sql", None),
    ],
)
def test_a_tool_is_asked_for_its_state(tool: str, said: str, status: str | None) -> None:
    found = status_words(Command(tool, tuple(said.split())))
    assert (" ".join(found) if found else None) == status


def test_an_address_in_the_command_is_seen() -> None:
    assert names_its_address(Command("other", ("psql", "{url}")))
    assert names_its_address(Command("other", ("x",), ("MY_URL",)))
    assert not names_its_address(Command("other", ("psql", "{x}")))


def test_the_password_is_taken_out_of_what_is_said() -> None:
    said = Address.of(URL, 0).without_secrets("cannot open postgresql://an%40n:p%2Fw@db with p/w")
    assert said == "cannot open postgresql://an%40n:***@db with ***"


async def test_every_driver_form_is_accepted_by_the_server(pg_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(Address.of(pg_database, 9).filled("{url}")) as connection:
        assert await (await connection.execute("SHOW watchdog.tool")).fetchone() == ("9",)


def test_every_known_tool_can_be_asked() -> None:
    assert [name for name, tool in TOOLS.items() if not tool.status] == ["other"]
