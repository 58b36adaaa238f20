import asyncio

from tests.system.daemon_fixtures import Daemon, Project, command, project, service, until


async def frozen(daemon: Daemon) -> bool:
    return (await daemon.guard())["frozen"] is not None


async def brake(here: Project, verb: str, *words: str) -> None:
    ran = await command(verb, *words, "--config", str(here.config), env=here.env)
    assert ran.status == 0, ran.err


async def test_frozen_while_the_daemon_is_dead_a_breach_opens_an_incident_and_nothing_acts() -> None:
    async with service() as shop:
        with project(shop.url) as here:
            async with await Daemon.start(here) as first:
                await first.watching()
                await first.judged_again()
                await first.release()
                await first.kill()
            await brake(here, "freeze", "--reason", "audit")
            shop.well = False
            async with await Daemon.start(here) as second:
                await until(lambda: second.has("IncidentOpened"), "the breach opens an incident")
                await second.judged_again()
                guard = await second.guard()
                assert guard["frozen"]["reason"] == "audit"
                assert guard["incident"]["rules"] == ["unhealthy"]
                assert guard["incident"]["run"] is None
                assert shop.asked == []
                status = await command("status", "--config", str(here.config), env=here.env)
                assert "FROZEN" in status.out
                assert ": audit" in status.out
                assert "incident shop-1" in status.out
                await brake(here, "unfreeze")
                await until(second.run_ended, "it acts")
                assert shop.done == ["first", "second"]
                run = await second.run()
                assert run is not None
                assert run["outcome"] == "recovered"


async def test_a_climb_under_way_is_still_frozen_after_a_restart() -> None:
    async with service() as shop:
        shop.gates["first"] = asyncio.Event()
        with project(shop.url) as here:
            async with await Daemon.start(here) as first:
                await first.watching()
                await first.release()
                await first.trigger()
                await until(lambda: shop.asked, "the first step is under way")
                await brake(here, "freeze", "--guard", "shop", "--reason", "let me look")
                await until(lambda: frozen(first), "the guard knows")
                shop.gates["first"].set()
                await until(lambda: first.has("StepSucceeded"), "the step under way ends")
                await first.judged_again()
                assert shop.asked == ["first"]
                await first.kill()
            async with await Daemon.start(here) as second:
                await second.watching()
                await second.judged_again()
                assert shop.asked == ["first"]
                assert (await second.events()).count("Frozen") == 1
                await brake(here, "unfreeze", "--guard", "shop")
                await until(second.run_ended, "it goes on")
                assert shop.asked == ["first", "second"]
                assert "Unfrozen" in await second.events()


async def test_one_guard_is_frozen_and_the_other_acts() -> None:
    async with service() as shop:
        with project(shop.url) as here:
            text = here.config.read_text()
            here.config.write_text(text + text[text.index("  shop:\n") :].replace("  shop:", "  store:"))
            await brake(here, "freeze", "--guard", "shop", "--reason", "audit")
            async with await Daemon.start(here) as daemon:
                await daemon.watching()
                for guard in ("shop", "store"):
                    await daemon.release(guard)
                shop.well = False
                await until(lambda: daemon.has("RunEnded", "store"), "the other guard acts")
                assert shop.done == ["first", "second"]
                assert "RunStarted" not in await daemon.events("shop")
