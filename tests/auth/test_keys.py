"""API keys from their making to their end: form, seal, limits, expiry, revocation, use."""

from __future__ import annotations

import string
from typing import Any

import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st

from ironforge.auth.api_keys import LIVE_KEYS, ApiKeys
from ironforge.auth.authenticator import REMEMBERED_SECONDS, Authenticator
from ironforge.auth.caller import SCOPES
from ironforge.auth.credentials import ApiKey, new_key, read_key, seal
from ironforge.errors import ConfigError, KeyNotFound, StoreUnavailable, TooManyKeys, Unauthenticated
from ironforge.redis.ring_keys import RingKeys
from ironforge.settings import Settings
from tests.auth.kit import Clock

ALPHABET = string.ascii_letters + string.digits


@pytest.fixture
async def api_keys(settings: Settings) -> Any:
    api_keys = ApiKeys(settings)
    yield api_keys
    await api_keys.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(api_keys: ApiKeys, settings: Settings, clock: Clock) -> Authenticator:
    return Authenticator(api_keys, settings.key_pepper, clock=clock)


async def refused(authenticator: Authenticator, text: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate(f"Bearer {text}")
    return caught.value.code


# --------------------------------------------------------------------------- the form


def test_a_key_is_long_enough_and_reads_back() -> None:
    key = new_key()

    assert read_key(key.text) == key
    assert len(key.text) == 4 + 12 + 1 + 43 + 6
    assert len(key.secret) * 5.954196310386875 >= 256  # bits a character of 62
    assert len({new_key().text for _ in range(1_000)}) == 1_000


@given(place=st.integers(0, 65), character=st.sampled_from(ALPHABET))
def test_a_key_with_one_wrong_character_is_none(place: int, character: str) -> None:
    text = new_key().text
    changed = text[:place] + character + text[place + 1 :]

    assert changed == text or read_key(changed) is None


@given(st.text())
def test_whatever_else_is_no_key(text: str) -> None:
    assert read_key(text) is None
    assert read_key(f"ifk_{text}") is None


@pytest.mark.parametrize("extra", ["\n", "\0", " ", "=", "é", "٣"])
def test_nothing_may_follow_or_come_before(extra: str) -> None:
    text = new_key().text

    assert read_key(text + extra) is None
    assert read_key(extra + text) is None
    assert read_key(text[:-1] + extra) is None


# --------------------------------------------------------------------------- the store


async def test_the_store_cannot_tell_what_the_secret_is(api_keys: ApiKeys, settings: Settings, server: str) -> None:
    key, record = await api_keys.create(settings.namespace, "billing", ["jobs:read"])
    async with redis.Redis.from_url(server) as client:
        raw = await client.hget(RingKeys().records, key.id)

    assert await api_keys.find(key.id) == record
    assert key.secret.encode() not in raw
    assert seal(settings.key_pepper, key.secret) == record.seal
    assert record.seal != seal("another pepper that is as long as this", key.secret)


async def test_two_keys_of_a_name_count_and_a_third_is_refused(api_keys: ApiKeys, settings: Settings) -> None:
    made = [await api_keys.create(settings.namespace, "billing", ["jobs:read"]) for _ in range(LIVE_KEYS)]
    with pytest.raises(TooManyKeys, match="billing"):
        await api_keys.create(settings.namespace, "billing", ["jobs:read"])

    await api_keys.create(settings.namespace, "reports", ["jobs:read"])
    await api_keys.create(settings.namespace + "2", "billing", ["jobs:read"])
    await api_keys.revoke(settings.namespace, made[0][0].id)
    await api_keys.create(settings.namespace, "billing", ["jobs:read"])


async def test_an_expired_key_makes_room_for_a_new_one(
    api_keys: ApiKeys, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    now = time.time_ns()
    monkeypatch.setattr("ironforge.formats.timestamps.time.time_ns", lambda: now - 60 * 10**9)
    for _ in range(LIVE_KEYS):
        await api_keys.create(settings.namespace, "billing", ["jobs:read"], expires_seconds=30)
    monkeypatch.undo()

    await api_keys.create(settings.namespace, "billing", ["jobs:read"])


async def test_a_key_belongs_to_its_namespace(api_keys: ApiKeys, settings: Settings) -> None:
    key, record = await api_keys.create(settings.namespace, "billing", ["jobs:read"])

    assert await api_keys.listed(settings.namespace + "2") == []
    with pytest.raises(KeyNotFound):
        await api_keys.revoke(settings.namespace + "2", key.id)
    assert [listed.record for listed in await api_keys.listed(settings.namespace)] == [record]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "a b"}, "name 'a b'"),
        ({"name": ""}, "name ''"),
        ({"namespace": "{x}"}, "namespace '{x}'"),
        ({"namespace": "@auth"}, "namespace '@auth'"),
        ({"scopes": []}, "needs a scope"),
        ({"scopes": ["jobs:all"]}, "'jobs:all' is not a scope"),
        ({"queues": []}, "1 to 100 queues"),
        ({"queues": ["a:b"]}, "queue 'a:b'"),
        ({"expires_seconds": 0.5}, "expires_seconds 0.5"),
        ({"expires_seconds": float("nan")}, "expires_seconds nan"),
        ({"expires_seconds": -1}, "expires_seconds -1"),
    ],
)
async def test_what_makes_no_sense_is_no_key(api_keys: ApiKeys, options: dict[str, Any], says: str) -> None:
    given = {"namespace": "home", "name": "n", "scopes": ["jobs:read"], **options}
    with pytest.raises(ConfigError, match=says.replace("{", r"\{")):
        await api_keys.create(given.pop("namespace"), given.pop("name"), given.pop("scopes"), **given)


async def test_what_is_not_legible_here_is_no_key(api_keys: ApiKeys, server: str, settings: Settings) -> None:
    key, _ = await api_keys.create(settings.namespace, "billing", ["jobs:read"])
    async with redis.Redis.from_url(server) as client:
        await client.hset(RingKeys().records, key.id, b"\xc1 garbage")

    assert await api_keys.find(key.id) is None
    assert await api_keys.listed(settings.namespace) == []


# --------------------------------------------------------------------------- proving it


async def test_a_key_becomes_a_caller(api_keys: ApiKeys, authenticator: Authenticator, settings: Settings) -> None:
    key, _ = await api_keys.create(settings.namespace, "billing", ["jobs:read", "jobs:submit"], queues=["b", "a", "b"])
    caller = await authenticator.authenticate(f"bearer  {key.text} ")

    assert caller.namespace == settings.namespace
    assert caller.scopes == {"jobs:submit", "jobs:read"}
    assert caller.queues == frozenset("ab")
    assert caller.identity == f"key:{key.id}(billing)"


async def test_one_text_for_everything_that_does_not_count(
    api_keys: ApiKeys, authenticator: Authenticator, settings: Settings
) -> None:
    key, _ = await api_keys.create(settings.namespace, "billing", SCOPES)
    gone, _ = await api_keys.create(settings.namespace, "billing", SCOPES)
    await api_keys.revoke(settings.namespace, gone.id)
    texts = []
    for text in (
        new_key().text,
        gone.text,
        ApiKey(key.id, new_key().secret).text,
        ApiKey(new_key().id, key.secret).text,
        key.text[:-1],
        key.text.upper(),
        "ifk_",
        "not.a.token",
        key.text + ", " + key.text,
    ):
        with pytest.raises(Unauthenticated) as caught:
            await authenticator.authenticate(f"Bearer {text}")
        texts.append((caught.value.code, str(caught.value)))

    assert len(set(texts)) == 1
    assert texts[0][0] == "invalid_credentials"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "ifk_x", "Bearer " + "a" * 9_000, "Bearer \udcfc"]
)
async def test_other_headers_do_not_count(authenticator: Authenticator, header: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate(header)
    assert caught.value.code == "invalid_credentials"


async def test_an_expired_key_says_so_to_its_owner_alone(
    api_keys: ApiKeys, authenticator: Authenticator, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    key, _ = await api_keys.create(settings.namespace, "billing", SCOPES, expires_seconds=60)
    await authenticator.authenticate(f"Bearer {key.text}")
    later = time.time_ns() + 61 * 10**9
    monkeypatch.setattr("ironforge.formats.timestamps.time.time_ns", lambda: later)

    assert await refused(authenticator, key.text) == "token_expired"
    assert await refused(authenticator, ApiKey(key.id, new_key().secret).text) == "invalid_credentials"


async def test_a_revoked_key_stops_to_count_in_time(
    api_keys: ApiKeys, authenticator: Authenticator, settings: Settings, clock: Clock
) -> None:
    key, _ = await api_keys.create(settings.namespace, "billing", SCOPES)
    await authenticator.authenticate(f"Bearer {key.text}")
    await api_keys.revoke(settings.namespace, key.id)
    clock.now += REMEMBERED_SECONDS

    assert REMEMBERED_SECONDS <= 30
    assert await refused(authenticator, key.text) == "invalid_credentials"


async def test_with_another_pepper_no_key_counts(api_keys: ApiKeys, settings: Settings) -> None:
    key, _ = await api_keys.create(settings.namespace, "billing", SCOPES)

    assert await refused(Authenticator(api_keys, "x" * 32), key.text) == "invalid_credentials"


async def test_who_cannot_be_asked_about_does_not_get_in(settings: Settings) -> None:
    api_keys = ApiKeys(settings)
    await api_keys.close()

    with pytest.raises(StoreUnavailable):
        await Authenticator(api_keys, settings.key_pepper).authenticate(f"Bearer {new_key().text}")


async def test_use_is_noted_once_a_minute(
    api_keys: ApiKeys, authenticator: Authenticator, settings: Settings, clock: Clock, server: str
) -> None:
    key, _ = await api_keys.create(settings.namespace, "billing", SCOPES)
    [unused] = await api_keys.listed(settings.namespace)
    assert unused.used_ms == 0
    await authenticator.authenticate(f"Bearer {key.text}")
    [used] = await api_keys.listed(settings.namespace)
    assert used.used_ms >= used.record.created_ms

    async with redis.Redis.from_url(server) as client:
        await client.hset(RingKeys().used, key.id, 1)
        clock.now += 59
        await authenticator.authenticate(f"Bearer {key.text}")
        assert await client.hget(RingKeys().used, key.id) == b"1"
        clock.now += 1
        await authenticator.authenticate(f"Bearer {key.text}")
        assert await client.hget(RingKeys().used, key.id) != b"1"

        await api_keys.revoke(settings.namespace, key.id)
        await api_keys.touch(key.id)
        assert await client.hget(RingKeys().used, key.id) is None


async def test_the_same_questions_for_a_wrong_secret_as_for_a_key_that_is_not_there(
    api_keys: ApiKeys, authenticator: Authenticator, settings: Settings, server: str
) -> None:
    """What takes time is the question to the store: it must not tell a caller which ids exist."""
    key, _ = await api_keys.create(settings.namespace, "billing", SCOPES)
    await authenticator.authenticate(f"Bearer {key.text}")
    async with redis.Redis.from_url(server) as client:

        async def questions(text: str) -> int:
            before = (await client.info("commandstats"))["cmdstat_hget"]["calls"]
            assert await refused(authenticator, text) == "invalid_credentials"
            return (await client.info("commandstats"))["cmdstat_hget"]["calls"] - before

        assert await questions(new_key().text) == 1
        assert await questions(ApiKey(key.id, new_key().secret).text) == 1
