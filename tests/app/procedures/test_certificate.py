import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from watchdog.app.procedures.certificate import CertificateFileError, prove_rollback, read_certificate
from watchdog.app.procedures.parts import Outcome, Part
from watchdog.app.procedures.place import Place
from watchdog.app.procedures.staging import Script
from watchdog.migrations.catalog import surroundings
from watchdog.model.releases import Certificate, Compatibility
from watchdog.model.time import HOUR, MINUTE, SECOND
from watchdog.targets.postgres import PostgresTarget
from watchdog.web.views import certificate_view


async def certificate(shop: Place, *, restored: bool = True, age: int = 0, took: int = 2 * SECOND) -> Certificate:
    """One that was rehearsed on this very schema."""
    [database] = shop.used(PostgresTarget).values()
    async with database.observe() as connection:
        here = await surroundings(connection)
    issued = shop.clock.now() - age
    playbook = shop.guard.settings.playbook.hash
    return Certificate("c1", issued, here, playbook, restored, Compatibility.COMPATIBLE, took, ("5 tables",))


async def proven(shop: Place, held: Certificate | None) -> Part:
    return await prove_rollback(shop, held, HOUR)


async def test_a_certificate_of_this_schema_and_playbook_is_valid(shop: Place) -> None:
    part = await proven(shop, await certificate(shop))
    assert (part.outcome, part.detail) == (Outcome.OK, "certificate c1 holds here: back in 2.0 s; old code compatible")
    assert part.numbers == {"measured_seconds": 2.0, "budget_seconds": 300.0}


async def test_none_is_a_finding(shop: Place) -> None:
    part = await proven(shop, None)
    assert (part.outcome, "no certificate" in part.detail) == (Outcome.FAILED, True)


async def test_an_old_one_has_expired(shop: Place) -> None:
    part = await proven(shop, await certificate(shop, age=2 * HOUR))
    assert part.outcome is Outcome.FAILED
    assert "expired" in part.detail


async def test_one_of_another_schema_does_not_hold(shop: Place) -> None:
    held = await certificate(shop)
    [database] = shop.used(PostgresTarget).values()
    async with database.act() as connection:
        await connection.execute("ALTER TABLE orders ADD note text")
    part = await proven(shop, held)
    assert part.outcome is Outcome.FAILED
    assert part.lines[0] == "it does not hold here: the schema before the first change is another one"


async def test_one_that_did_not_restore_or_took_too_long_proves_nothing(shop: Place) -> None:
    assert (await proven(shop, await certificate(shop, restored=False))).outcome is Outcome.FAILED
    slow = await proven(shop, await certificate(shop, took=6 * MINUTE))
    assert slow.detail == "the rehearsed rollback took 6 min, more than the budget of 5 min"


async def test_one_of_other_scripts_does_not_hold(shop: Place) -> None:
    scripts = [Script("1.sql", "ALTER TABLE orders ADD score int"), Script("2.sql", "ALTER TABLE orders ADD note text")]
    digests = tuple(hashlib.sha256(one.text.encode()).hexdigest() for one in scripts)
    held = replace(await certificate(shop), scripts=digests)
    assert (await prove_rollback(shop, held, HOUR, scripts)).outcome is Outcome.OK
    part = await prove_rollback(shop, held, HOUR, [*scripts, Script("3.sql", "ALTER TABLE orders DROP amount")])
    assert part.outcome is Outcome.FAILED
    assert part.detail == "certificate c1 is of other scripts: 3.sql was not rehearsed as it is now"
    assert (await prove_rollback(shop, await certificate(shop), HOUR, scripts)).outcome is Outcome.OK


async def test_a_file_is_read_as_the_rehearsal_writes_it(shop: Place, tmp_path: Path) -> None:
    held = await certificate(shop)
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(certificate_view(held)))
    again = read_certificate(path)
    assert (again.id, again.surroundings, again.measured) == ("c1", held.surroundings, held.measured)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"id": 7}'])
def test_a_file_that_is_none_is_wrong_use(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(CertificateFileError, match="is no certificate"):
        read_certificate(tmp_path / "c.json")
    with pytest.raises(CertificateFileError, match="cannot be read"):
        read_certificate(tmp_path / "nowhere.json")
