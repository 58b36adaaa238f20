import pytest

from tests.actions.conftest import Plain
from watchdog.ports.errors import TargetError
from watchdog.servers.process import free_port
from watchdog.targets.redis import RedisOptions, RedisTarget


@pytest.mark.parametrize(
    "url",
    [
        *("http://u:hunter2@127.0.0.1", "redis://:p@127.0.0.1/hunter2", "redis://127.0.0.1:99999"),
        *("redis://u:p/hunter2@127.0.0.1/0", "redis://u:99/hunter2@127.0.0.1/0", "redis://u:99#hunter2@127.0.0.1"),
    ],
)
async def test_an_address_that_is_none_is_told_without_showing_it(url: str) -> None:
    target = RedisTarget("cache", RedisOptions(url=Plain(url)))
    with pytest.raises(TargetError, match="target cache is no Redis address") as caught:
        await target.unlink("shop", 1, ())
    assert "hunter2" not in str(caught.value)
    assert target.place == "cache"


async def test_a_server_that_does_not_answer_is_named_without_its_login() -> None:
    port = free_port()
    target = RedisTarget("cache", RedisOptions(url=Plain(f"redis://u:p@hunter2@127.0.0.1:{port}/3")))
    with pytest.raises(TargetError, match=f"127.0.0.1:{port}/3.* does not answer") as caught:
        await target.unlink("shop", 1, ())
    assert "hunter2" not in str(caught.value)
    await target.close()
