from pathlib import Path

import pytest

from watchdog.cli.places import PlacesError, places


def write(place: Path, text: str) -> Path:
    path = place / "config.yaml"
    path.write_text(text)
    return path


def test_the_socket_is_in_the_state_directory_beside_the_configuration(place: Path) -> None:
    found = places(write(place, "state: kept\nguards: {shop: {}, desk: {}}\n"), {})
    assert (found.state, found.socket) == (place / "kept", place / "kept" / "watchdog.sock")
    assert found.guards == ("shop", "desk")


def test_references_are_resolved_and_a_socket_may_be_elsewhere(place: Path) -> None:
    path = write(place, "state: ${env:KEPT}/here\nweb: {socket: '/run/${env:WHICH}.sock'}\n")
    found = places(path, {"KEPT": "/var", "WHICH": "dog"})
    assert (found.state, found.socket) == (Path("/var/here"), Path("/run/dog.sock"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("state: [", "is not YAML"),
        ("- state", "is no configuration"),
        ("web: {}", "does not say `state`"),
        ("state: 7", "does not say `state`"),
        ("state: x\nweb: {socket: 1}", "does not say `web.socket`"),
        ("state: ${env:NOT_SET}", "state: the environment variable `NOT_SET` is not set; `export NOT_SET=…`"),
        ("state: ${HOME}", "`${env:HOME}`"),
    ],
)
def test_what_is_not_said_is_named(place: Path, text: str, said: str) -> None:
    with pytest.raises(PlacesError) as raised:
        places(write(place, text), {})
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_text_is_no_yaml(place: Path) -> None:
    (place / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlacesError, match="is not YAML"):
        places(place / "config.yaml", {})


def test_without_a_file_the_option_is_named(place: Path) -> None:
    with pytest.raises(PlacesError, match=r"nowhere.yaml cannot be read .* --config or \$WATCHDOG_CONFIG"):
        places(place / "nowhere.yaml", {})
