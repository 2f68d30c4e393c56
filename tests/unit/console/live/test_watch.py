"""
The messages whose pages are open: asked of streams once for all their viewers, and told when they change.
"""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest

from console.errors import AwayError
from console.live.news import News, Subject
from console.live.picture import Picture
from console.live.watch import Watch
from console.pages.campaigns import words_of
from tests.support.wait import eventually_async

FINAL_PAUSE_SECONDS = 5.0


class Streams:
    """A read API: what it knows may be changed, and it may be away."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.is_away = False

    async def message(self, key: str) -> dict[str, Any] | None:
        self.asked.append(key)
        if self.is_away:
            raise AwayError("streams does not answer")
        return self.messages.get(key)

    def put(self, key: str, revision: int, *, is_final: bool = False) -> None:
        row = {"sms_key": f"{key}#1", "generation": 0, "revision": revision, "is_final": is_final}
        self.messages[key] = {"sms": [row]}


class Rounds:
    """Sleeps in place of the clock: a round of looks for each step."""

    def __init__(self) -> None:
        self._steps: asyncio.Queue[None] = asyncio.Queue()
        self.begun = 0

    async def sleep(self, _: float) -> None:
        self.begun += 1
        await self._steps.get()

    async def step(self) -> None:
        begun = self.begun
        self._steps.put_nowait(None)
        await eventually_async(lambda: self.begun > begun)


async def test_a_message_is_told_once_for_each_change_and_asked_once_for_all_viewers() -> None:
    streams, rounds, told = Streams(), Rounds(), list[str]()
    now = [1000.0]
    watch = Watch(streams.message, told.append, rounds.sleep, lambda: now[0])
    streams.put("a", 1)
    running = asyncio.create_task(watch.run())
    await eventually_async(lambda: rounds.begun == 1)
    with ExitStack() as viewers:
        for _ in range(20):
            viewers.enter_context(watch.of("a"))
        viewers.enter_context(watch.of("unknown"))
        await rounds.step()
        assert sorted(streams.asked) == ["a", "unknown"]
        assert sorted(told) == ["a", "unknown"]  # the page may be older than the first look
        await rounds.step()
        assert sorted(told) == ["a", "unknown"]
        streams.put("a", 2)
        await rounds.step()
        assert sorted(told) == ["a", "a", "unknown"]
        streams.is_away = True
        await rounds.step()
        streams.is_away = False
        await rounds.step()
        assert sorted(told) == ["a", "a", "unknown"]  # no change, and none lost
        streams.put("unknown", 1, is_final=True)
        await rounds.step()
        assert sorted(told) == ["a", "a", "unknown", "unknown"]
        count = streams.asked.count("unknown")
        await rounds.step()
        assert streams.asked.count("unknown") == count  # a final one is asked for less often
        now[0] += FINAL_PAUSE_SECONDS
        await rounds.step()
        assert streams.asked.count("unknown") == count + 1
    streams.asked.clear()
    await rounds.step()
    assert streams.asked == []
    running.cancel()


async def test_a_reason_why_messages_are_not_seen_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    streams, rounds, told = Streams(), Rounds(), list[str]()
    watch = Watch(streams.message, told.append, rounds.sleep)
    running = asyncio.create_task(watch.run())
    await eventually_async(lambda: rounds.begun == 1)
    with watch.of("a"), watch.of("b"):
        for is_away in (True, True, False, True):
            streams.is_away = is_away
            await rounds.step()
    assert [one.getMessage() for one in caplog.records] == [
        "streams does not answer: open pages of messages are not live"
    ] * 2
    assert not running.done()
    running.cancel()


async def test_only_the_viewers_of_a_message_are_told_of_it() -> None:
    streams = Streams()
    streams.put("a", 1)
    news = News(Picture(), words_of, streams.message)
    running = asyncio.create_task(news.run())
    streams_of = {key: news.stream(None, Subject(message=key)) for key in ("a", "b")}
    for stream in streams_of.values():
        await anext(stream)
    told = {}
    for key, stream in streams_of.items():
        async with asyncio.timeout(20):
            while b"event: message" not in (event := await anext(stream)):
                assert key == "a" or b"event: now" in event
        told[key] = event
    assert set(told) == {"a", "b"}
    streams.put("a", 2)
    async with asyncio.timeout(20):
        while b"event: message" not in await anext(streams_of["a"]):
            pass
    for stream in streams_of.values():
        await stream.aclose()  # type: ignore[attr-defined]
    running.cancel()


async def test_a_page_is_told_of_what_it_is_about() -> None:
    picture = Picture()
    news = News(picture, words_of, Streams().message)
    picture._alarms_changed = picture._routes_changed = picture.tick
    news.tick()
    for subject, kinds in ((Subject(), {"alarms"}), (Subject(routes=True), {"alarms", "routes"})):
        stream = news.stream(None, subject)
        told = b"".join([await anext(stream) for _ in range(2)]).decode()
        await stream.aclose()  # type: ignore[attr-defined]
        assert {line.removeprefix("event: ") for line in told.splitlines() if line.startswith("event")} == kinds | {
            "now"
        }
