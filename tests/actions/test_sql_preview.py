import pytest

from tests.actions.conftest import Contexts, Guarded, Roles
from watchdog.actions.sql import KIND, SqlOptions
from watchdog.ports.kinds import Script
from watchdog.targets.archive import Archive
from watchdog.targets.postgres import PostgresError

DROP = Script("ALTER TABLE users DROP COLUMN score", "x.sql")


async def test_a_column_that_is_gone_already_shows_in_the_preview(
    guarded: Guarded, resources: Roles, context: Contexts
) -> None:
    archive = Archive(name="scores", table="users", columns=("score",), key=("id",))
    step = KIND.build("database", SqlOptions(script=DROP, archive=(archive,)), resources)
    assert "100 rows of public.users" in await step.preview(context())
    await guarded.fetch("ALTER TABLE users DROP COLUMN score")
    with pytest.raises(PostgresError, match='42703: column "score" does not exist'):
        await step.preview(context())
