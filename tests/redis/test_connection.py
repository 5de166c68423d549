"""One connection: every reply belongs to its question, whatever breaks the exchange; and what counts as an outages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import pytest
import redis
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironforge.errors import LeaseLost, StoreError, StoreUnavailable
from ironforge.redis import outages
from ironforge.redis.connection import Connection, packed
from ironforge.redis.server_locator import ServerLocator
from tests.store.kit import Cluster, job


async def test_replies_come_in_the_order_of_their_questions(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    assert await connection.pipeline([["ECHO", "a"], ["ECHO", b"b"], ["STRLEN", "nothing"]]) == [b"a", b"b", 0]
    await connection.close()


async def test_an_error_is_raised_after_all_replies_were_read(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    with pytest.raises(redis.ResponseError):
        await connection.pipeline([["NOSUCH"], ["ECHO", "left over"]])
    assert connection.connected
    assert await connection.call("ECHO", "next") == b"next"
    await connection.close()


async def test_a_tolerated_error_stays_among_the_replies(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    error, reply = await connection.pipeline([["NOSUCH"], ["ECHO", "a"]], tolerate=("unknown command",))
    assert type(error) is redis.ResponseError
    assert reply == b"a"
    await connection.close()


@settings(max_examples=settings.default.max_examples // 5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_cancellation_at_any_await_never_shifts_a_reply(server: str, turns: list[int]) -> None:
    async def scenario() -> None:
        connection = Connection(server)
        for number, turn in enumerate(turns):
            call = asyncio.create_task(connection.pipeline([["ECHO", f"{number}.{part}"] for part in range(3)]))
            for _ in range(turn):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert await connection.call("ECHO", f"after {number}") == f"after {number}".encode()
        await connection.close()

    asyncio.run(scenario())


async def test_a_call_that_takes_too_long_closes_the_connection(cluster: Cluster) -> None:
    connection = Connection(cluster.url, timeout_seconds=0.05)
    with pytest.raises(TimeoutError):
        await connection.call("BLPOP", cluster.keys.prefix + "nothing", 30)
    assert not connection.connected
    assert await connection.call("ECHO", "a", timeout_seconds=5) == b"a"
    await connection.close()


async def test_many_commands_of_which_some_are_on_their_way_at_once(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    commands = [packed(["ECHO", str(number)]) for number in range(20)]
    for ahead in (1, 7, 19, 20, 21):
        replies = await connection.exchange_packed(commands, ahead=ahead)
        assert replies == [str(number).encode() for number in range(20)]
    await connection.close()


async def test_each_reply_has_its_own_time(cluster: Cluster) -> None:
    """Together they take longer than any of them may."""
    connection = Connection(cluster.url, timeout_seconds=1.0)
    pauses = [packed(["BLPOP", "nothing", "0.6"])] * 3
    assert await connection.exchange_packed(pauses, ahead=1) == [None] * 3
    with pytest.raises(TimeoutError, match="no answer within 1 s"):
        await connection.exchange_packed(pauses)
    with pytest.raises(TimeoutError, match="no answer within 1 s"):
        await connection.exchange_packed([*pauses, packed(["BLPOP", "nothing", "5"])], ahead=1)
    assert await connection.call("ECHO", "next") == b"next"
    await connection.close()


async def test_a_connection_cut_in_the_middle_is_an_outage(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    number = await connection.call("CLIENT", "ID")
    call = asyncio.create_task(connection.call("BLPOP", cluster.keys.prefix + "nothing", 0, timeout_seconds=30))
    while not cluster.raw.info("clients")["blocked_clients"]:
        await asyncio.sleep(0)
    cluster.raw.client_kill_filter(_id=number)
    with pytest.raises(redis.ConnectionError) as caught:
        await call
    assert outages.outage_code(caught.value) == "storage_unavailable"
    assert not connection.connected
    await connection.close()


def test_a_connection_that_was_reset_while_idle_is_an_outage_on_every_loop() -> None:
    async def scenario() -> None:
        ends: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ends.put_nowait(writer)
            while await reader.read(100):
                writer.write(b"+PONG\r\n")

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        connection = Connection(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        with contextlib.closing(listener):
            for turns in range(10):  # from a reset that nobody has noticed yet to one that the loop knows of
                await connection.call("PING")
                end = ends.get_nowait()
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.transport.abort()
                for _ in range(turns):
                    await asyncio.sleep(0)
                with contextlib.suppress(redis.ConnectionError):
                    assert await connection.call("PING") == b"PONG"
            await connection.close()

    for loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(scenario())


async def test_calls_of_many_tasks_take_turns(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    names = [f"{number}".encode() for number in range(100)]
    assert await asyncio.gather(*(connection.call("ECHO", name) for name in names)) == names
    await connection.close()


async def test_a_closed_link_stays_closed(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    await connection.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await connection.call("PING")


async def test_one_that_is_closed_while_it_opens_is_not_left_open(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, find = asyncio.Event(), ServerLocator.find

    async def slowly(address: ServerLocator) -> str:
        await found.wait()
        return await find(address)

    monkeypatch.setattr(ServerLocator, "find", slowly)
    connection = Connection(cluster.url)
    call = asyncio.create_task(connection.call("PING"))
    await asyncio.sleep(0)
    await connection.close()
    found.set()
    with pytest.raises(StoreUnavailable, match="closed"):
        await call
    assert not connection.connected


async def test_an_opening_without_a_check_is_only_sent(cluster: Cluster) -> None:
    connection = Connection(cluster.url, opening=[["SET", cluster.keys.epoch, "7"]])
    assert await connection.call("GET", cluster.keys.epoch) == b"7"
    await connection.close()


async def test_a_server_that_wants_us_elsewhere_is_left(cluster: Cluster) -> None:
    connection = Connection(cluster.url)
    text = "return redis.error_reply('READONLY You can not write against a read only replica.')"
    with pytest.raises(redis.exceptions.ReadOnlyError):
        await connection.call("EVAL", text, 0)
    assert not connection.connected
    await connection.close()


CODES = {
    "OOM command not allowed": "storage_full",
    "READONLY no": "storage_readonly",
    "LOADING wait": "storage_loading",
    "CLUSTERDOWN no": "storage_unavailable",
    "MASTERDOWN no": "storage_unavailable",
    "TRYAGAIN later": "storage_unavailable",
    "UNBLOCKED role": "storage_unavailable",
    "MISCONF disk": "storage_unavailable",
    "NOREPLICAS few": "storage_unavailable",
    "BUSY a script": "storage_unavailable",
}


@pytest.mark.parametrize("reply", CODES)
async def test_a_door_says_at_once_why_the_store_is_away(cluster: Cluster, reply: str) -> None:
    connection = Connection(cluster.url)
    with pytest.raises(StoreUnavailable) as caught, outages.translating_errors():
        await connection.call("EVAL", f"return redis.error_reply('{reply}')", 0)
    assert caught.value.code == CODES[reply]
    await connection.close()


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError(), redis.ConnectionError("no"), redis.TimeoutError()])
def test_every_way_to_lose_a_connection_is_an_outage(error: Exception) -> None:
    with pytest.raises(StoreUnavailable) as caught, outages.translating_errors():
        raise error
    assert caught.value.code == "storage_unavailable"
    assert not str(caught.value).endswith(": ")


def test_what_is_no_outage_is_an_error() -> None:
    with pytest.raises(StoreError, match="WRONGTYPE") as caught, outages.translating_errors():
        raise redis.ResponseError("WRONGTYPE no")
    assert not isinstance(caught.value, StoreUnavailable)
    with pytest.raises(LeaseLost), outages.translating_errors():
        raise redis.ResponseError("STALE the fence has moved")
    with pytest.raises(ZeroDivisionError), outages.translating_errors():
        raise ZeroDivisionError


async def test_a_node_outlasts_an_outage_and_backs_off(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [redis.ConnectionError("gone")] * 8
    waits = []

    async def operation() -> str:
        if failures:
            raise failures.pop()
        return "done"

    async def no_sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(outages.asyncio, "sleep", no_sleep)
    monkeypatch.setattr(outages.random, "uniform", lambda _, longest: longest)
    assert await outages.retry_through_outage(operation) == "done"
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


async def test_a_node_does_not_outlast_a_refusal() -> None:
    async def operation() -> None:
        raise redis.ResponseError("NOPERM no")

    with pytest.raises(StoreError):
        await outages.retry_through_outage(operation)


async def test_a_node_waits_until_a_key_of_the_wrong_type_is_out_of_the_way() -> None:
    replies: list[Exception] = [redis.ResponseError("WRONGTYPE no")] * 2

    async def operation() -> str:
        if replies:
            raise replies.pop()
        return "done"

    assert await outages.retry_through_outage(operation) == "done"


async def test_a_door_without_a_server_answers_at_once(cluster: Cluster) -> None:
    cluster.with_settings(redis_url="redis://127.0.0.1:1")
    for call in (
        lambda store_client: store_client.inspector.get(job().id),
        lambda store_client: store_client.producer.cancel(job().id),
        lambda store_client: cluster.submit(job()),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            await call(cluster.store_client)
        assert caught.value.code == "storage_unavailable"
