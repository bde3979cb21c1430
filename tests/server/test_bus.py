"""Messages from one thread to listeners on any loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from server.bus import MOST_UNREAD, Bus, Message

Messages = AsyncGenerator[Message, None]


def numbered(n: int) -> Message:
    return {"type": "caption", "n": n}


def numbers(first: int, last: int) -> list[Message]:
    return [numbered(n) for n in range(first, last)]


@asynccontextmanager
async def listening(bus: Bus, interview_id: str) -> AsyncIterator[list[Message]]:
    """What a listener reads."""
    read: list[Message] = []

    async def listen() -> None:
        async for message in bus.subscribe(interview_id):
            read.append(message)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    yield read
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_listeners_of_an_interview_hear_it_in_order_and_no_other() -> None:
    bus = Bus()
    async with listening(bus, "a") as one, listening(bus, "a") as two, listening(bus, "b") as other:
        for message in numbers(0, 5):
            bus.publish("a", message)
        await asyncio.sleep(0.01)
    assert one == two == numbers(0, 5)
    assert other == []


async def test_another_threads_messages_arrive_in_its_order() -> None:
    bus = Bus()
    async with listening(bus, "a") as read:
        await asyncio.to_thread(lambda: [bus.publish("a", m) for m in numbers(0, 200)])
        await asyncio.sleep(0.01)
    assert read == numbers(0, 200)


async def test_a_latecomer_hears_the_last_state_first_and_nothing_older() -> None:
    bus = Bus()
    bus.publish("a", {"type": "state", "state": "listening"})
    bus.publish("a", {"type": "state", "state": "speaking"})
    bus.publish("a", numbered(0))
    async with listening(bus, "a") as read:
        bus.publish("a", numbered(1))
        await asyncio.sleep(0.01)
    assert read == [{"type": "state", "state": "speaking"}, numbered(1)]


async def test_a_forgotten_interview_has_no_state_but_still_has_listeners() -> None:
    bus = Bus()
    bus.publish("a", {"type": "state", "state": "ended"})
    bus.forget("a")
    bus.forget("a")
    async with listening(bus, "a") as read:
        bus.publish("a", numbered(1))
        await asyncio.sleep(0.01)
    assert read == [numbered(1)]


async def test_a_listener_far_behind_loses_the_oldest() -> None:
    bus = Bus()
    bus.publish("a", {"type": "state", "state": "listening"})
    messages = cast(Messages, bus.subscribe("a"))
    await anext(messages)
    for message in numbers(0, MOST_UNREAD + 50):
        bus.publish("a", message)
    await asyncio.sleep(0.05)
    assert [await anext(messages) for _ in range(MOST_UNREAD)] == numbers(50, MOST_UNREAD + 50)
    await messages.aclose()


async def test_a_listener_that_leaves_is_told_nothing_more() -> None:
    bus = Bus()
    async with listening(bus, "a") as read:
        pass
    bus.publish("a", numbered(1))
    await asyncio.sleep(0.01)
    assert read == []


async def test_a_listener_whose_loop_is_closed_harms_no_other() -> None:
    bus = Bus()
    bus.publish("a", {"type": "state", "state": "listening"})
    messages = cast(Messages, bus.subscribe("a"))

    async def begin() -> None:
        await anext(messages)

    def run_elsewhere() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        loop.close()

    await asyncio.to_thread(run_elsewhere)
    async with listening(bus, "a") as read:
        bus.publish("a", numbered(1))
        await asyncio.sleep(0.01)
    assert read[-1] == numbered(1)
    await messages.aclose()
