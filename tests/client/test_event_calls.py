"""Events from the Python client and from a Forge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from ironforge import AsyncClient, Client, Forge
from ironforge.errors import ConfigError, InvalidJob, SerializationError
from ironforge.settings import Settings
from ironforge.steps.errors import EventNotFound

ODD = ["", ".", "..", "a b", "a\n", "x" * 201, "\ud800"]


@pytest.fixture
async def client(api: Any) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(api.url) as made:
        yield made


@pytest.fixture
async def forge(settings: Settings) -> AsyncIterator[Forge]:
    async with Forge(settings) as made:
        yield made


@pytest.mark.parametrize("name", ["approved:42", "orders/42?x=1#y", "100%25", "../jobs", "grün"])
async def test_an_event_is_sent_once_and_looked_at(client: AsyncClient, name: str) -> None:
    assert await client.send_event(name, {"by": "ada"}, keep_seconds=timedelta(minutes=1)) == {
        "name": name,
        "first": True,
    }
    assert await client.send_event(name) == {"name": name, "first": False}
    assert (await client.event(name))["payload"] == {"by": "ada"}
    with pytest.raises(EventNotFound, match="there is no event never"):
        await client.event("never")


async def test_a_forge_sends_what_the_api_shows_and_the_other_way_round(client: AsyncClient, forge: Forge) -> None:
    assert await forge.send_event("a/b", {"n": 1}, keep_seconds=60) is True
    assert (await client.event("a/b"))["payload"] == {"n": 1}
    assert await client.send_event("a/b", 2) == {"name": "a/b", "first": False}
    await client.send_event("c")
    assert await forge.send_event("c", 2) is False


def test_plain_code_sends_them_too(api_in_thread: str) -> None:
    with Client(api_in_thread) as client:
        assert client.send_event("go", 1)["first"] is True
        assert client.event("go")["payload"] == 1


async def test_what_cannot_be_sent_is_refused_before_it_is(client: AsyncClient, forge: Forge) -> None:
    for door in (client, forge):
        for name in ODD:
            with pytest.raises(InvalidJob, match="is no name of an event") as refused:
                await door.send_event(name)
            assert (refused.value.code, refused.value.field) == ("invalid_event", "name")
        with pytest.raises(SerializationError):
            await door.send_event("go", object())
        with pytest.raises(InvalidJob, match="at most 65536 are allowed"):
            await door.send_event("go", "x" * 65_535)
        for seconds in (0, -1, 1e9, float("nan")):
            with pytest.raises(InvalidJob, match="keep_seconds"):
                await door.send_event("go", keep_seconds=seconds)
    with pytest.raises(EventNotFound):
        await client.event("go")


async def test_a_forge_with_a_producer_of_its_own_says_that_it_sends_none() -> None:
    with pytest.raises(ConfigError, match="made with a producer"):
        await Forge(producer=object()).send_event("go")  # type: ignore[arg-type]
