import aiohttp

from watchdog.demo.dependency import Rating


async def _statuses(rating: Rating, calls: int) -> list[int]:
    statuses = []
    async with aiohttp.ClientSession() as http:
        for _ in range(calls):
            async with http.get(f"{rating.url}/rating", params={"score": 50}) as response:
                statuses.append(response.status)
    return statuses


async def test_it_fails_for_the_asked_share_of_calls_and_recovers() -> None:
    rating = Rating()
    await rating.start()
    try:
        assert await _statuses(rating, 10) == [200] * 10
        rating.failing = 0.6
        assert sorted(await _statuses(rating, 20)) == [200] * 8 + [500] * 12
        rating.failing = 0.0
        assert await _statuses(rating, 5) == [200] * 5
    finally:
        await rating.stop()


async def test_stopping_twice_is_fine() -> None:
    rating = Rating()
    await rating.start()
    await rating.stop()
    await rating.stop()
