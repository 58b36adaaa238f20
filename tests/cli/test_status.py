import json
import socket
import threading
from pathlib import Path

from tests.cli.conftest import Live, Watchdog
from watchdog.model.releases import Protection, Release


def test_a_quiet_guard_is_shown_with_its_rules(live: Live, watchdog: Watchdog) -> None:
    assert "not ready: guard shop has not been judged yet" in watchdog("status").output
    live.seconds(30)
    shown = watchdog("status").output
    assert "not ready" not in shown
    assert "shop — no release" in shown
    assert "ok            error_rate" in shown
    assert "no data       lost_connections" in shown


def test_an_incident_is_shown_with_its_evidence_rungs_and_steps(live: Live, watchdog: Watchdog) -> None:
    live.site.may_act.clear()
    live.seconds(20)
    live.do(live.site.daemon.start_release("shop", Release("r1", ("add_score",), ("new",), protection=Protection.FULL)))
    live.site.shop.errors = 1.0
    live.seconds(40)
    shown = watchdog("status").output
    assert "shop — incident" in shown
    assert "release r1, applying since T-0 at 2025-01-08T09:30:20.250Z" in shown
    assert "add_score; protection full; no certificate" in shown
    assert "way back: not proven (no certificate), budget 5 min" in shown
    assert "incident shop-1: rolling back, rung flag" in shown
    assert "rung flag: under way" in shown
    assert "switch off: intended in" in shown
    assert "1 owed" in shown


def test_machines_get_the_apis_json(live: Live, watchdog: Watchdog) -> None:
    live.seconds(1)
    everything = json.loads(watchdog("status", "--json").output)
    assert everything["ready"] is True
    assert json.loads(watchdog("status", "--guard", "shop", "--json").output) == everything["guards"][0]


def test_an_unknown_guard_is_one_line(live: Live, watchdog: Watchdog) -> None:
    ran = watchdog("status", "--guard", "shopp")
    assert ran.exit_code == 1
    assert ran.stderr == "watchdog: no guard 'shopp'; there are: shop\n"


def test_without_a_daemon_the_socket_and_the_way_out_are_named(watchdog: Watchdog) -> None:
    ran = watchdog("status")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == f"watchdog: no daemon answers at {watchdog.socket}: start one with `watchdog run`\n"


def test_a_socket_that_nobody_listens_at_is_no_daemon(watchdog: Watchdog) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(watchdog.socket))
    assert "no daemon answers" in watchdog("status").stderr


def test_a_daemon_that_breaks_off_is_told_apart(watchdog: Watchdog) -> None:
    def hang_up(listener: socket.socket) -> None:
        for _ in ("knock", "request"):
            listener.accept()[0].close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(watchdog.socket))
        listener.listen()
        thread = threading.Thread(target=hang_up, args=(listener,))
        thread.start()
        ran = watchdog("status")
        thread.join(10)
    assert ran.exit_code == 1
    assert "broke off" in ran.stderr


def test_the_socket_is_found_through_the_configuration(live: Live, watchdog: Watchdog, place: Path) -> None:
    config = place / "config.yaml"
    config.write_text(f"version: 7\nstate: {place}\nweb: {{socket: live.sock}}\nnonsense: true\n")
    watchdog.env["WATCHDOG_SOCKET"] = None
    ran = watchdog("status", "--config", str(config))
    assert ran.exit_code == 0
    assert "shop" in ran.output
