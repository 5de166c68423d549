"""The API keys that count: made, found, listed and revoked.

All namespaces share one ring, because a key must be found before anybody knows its namespace. A revoked key is
deleted, so it cannot be told from one that never was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ironforge.auth.caller import MAX_QUEUES, SCOPES, Account, Caller, Scope
from ironforge.auth.credentials import KEY_ID, ApiKey, new_key, seal
from ironforge.auth.inheritance import Terms, inherit, makers_of
from ironforge.auth.quota import NO_QUOTA, Quota, check
from ironforge.errors import ConfigError, KeyNotFound, TooManyKeys, Unauthenticated
from ironforge.formats.numbers import shown
from ironforge.formats.timestamps import now_ms
from ironforge.redis.connection import DoorConnection
from ironforge.redis.ring_keys import RingKeys
from ironforge.redis.scripts import KEY_CREATE, KEY_REVOKE, KEY_TOUCH
from ironforge.settings import NAME, NAME_RULE, Settings

# Of one name: the one in use and the one that replaces it.
LIVE_KEYS: Final = 2
NAMESPACE_KEYS: Final = 1_000
_IDENTITY: Final = "key:"
LONGEST_LIFE_SECONDS: Final = 10 * 365 * 86_400.0


def key_of(identity: str) -> str:
    """The id of the key that a caller of this identity has; of another caller's nothing that is one."""
    return identity.removeprefix(_IDENTITY).partition("(")[0]


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the store has it. Times are Unix time in ms; `expires_ms` 0: never; `queues` None: all.

    `made_by`: how logs call its maker; "": made before that was written down. `makers`: as in `Caller`.
    """

    id: str
    seal: bytes
    namespace: str
    name: str
    scopes: tuple[Scope, ...]
    created_ms: int
    queues: tuple[str, ...] | None = None
    expires_ms: int = 0
    quota: Quota = NO_QUOTA
    made_by: str = ""
    makers: tuple[Account, ...] = ()

    def caller(self) -> Caller:
        return Caller(
            self.namespace,
            frozenset(self.scopes),
            f"{_IDENTITY}{self.id}({self.name})",
            None if self.queues is None else frozenset(self.queues),
            self.id,
            self.quota,
            self.expires_ms,
            self.makers,
        )


class Listed(msgspec.Struct, frozen=True):
    """A key in a list; `used_ms` 0: never used."""

    record: KeyRecord
    used_ms: int


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(KeyRecord).decode


class ApiKeys:
    """One connection for a whole process. Every method raises StoreUnavailable when the server cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self._pepper = settings.key_pepper
        self._keys = RingKeys()
        self._connection = DoorConnection(settings.redis_url, self._keys.prefix)

    async def create(
        self,
        namespace: str,
        name: str,
        scopes: Sequence[str],
        *,
        queues: Sequence[str] | None = None,
        expires_seconds: float | None = None,
        quota: Quota = NO_QUOTA,
        maker: Caller | None = None,
        made_by: str = "",
    ) -> tuple[ApiKey, KeyRecord]:
        """A new key; its text is shown once and never stored. Without a `maker` an operator makes it.

        Raises ConfigError for what makes no sense, Forbidden for what the maker does not hold, Unauthenticated when
        the maker was revoked meanwhile, and TooManyKeys.
        """
        _check(namespace, name, scopes, queues, expires_seconds)
        key = new_key()
        created_ms = now_ms()
        terms = Terms(scopes, queues, created_ms + round(expires_seconds * 1000) if expires_seconds else 0, quota)
        if maker is not None:
            terms = inherit(maker, terms, created_ms)
        record = KeyRecord(
            id=key.id,
            seal=seal(self._pepper, key.secret),
            namespace=namespace,
            name=name,
            scopes=tuple(scope for scope in SCOPES if scope in terms.scopes),
            created_ms=created_ms,
            queues=None if terms.queues is None else tuple(sorted(set(terms.queues))),
            expires_ms=terms.expires_ms,
            quota=check(terms.quota),
            made_by=maker.identity if maker else made_by,
            makers=makers_of(maker) if maker else (),
        )
        await self._store(record, maker.bucket if maker else "")
        return key, record

    async def _store(self, record: KeyRecord, maker_id: str) -> None:
        names = KEY_CREATE.keys(self._keys, of=self._keys.of(record.namespace))
        limits = [LIVE_KEYS, NAMESPACE_KEYS, record.created_ms]
        makers = ",".join(maker.bucket for maker in record.makers)
        verdict = await self._connection.run(
            KEY_CREATE,
            names,
            [record.id, _encode(record), record.name, record.expires_ms, *limits, maker_id, makers],
        )
        if verdict == b"maker":
            raise Unauthenticated("the key that makes this one has been revoked", code="invalid_credentials")
        if verdict == b"name":
            raise TooManyKeys(
                f"{record.name!r} has {LIVE_KEYS} keys that count: revoke the old one once nobody uses it, or use "
                "another name"
            )
        if verdict == b"namespace":
            raise TooManyKeys(
                f"namespace {record.namespace!r} has {NAMESPACE_KEYS} keys, and may not have more: revoke some"
            )

    async def find(self, key_id: str) -> KeyRecord | None:
        """Whatever namespace it belongs to. What is not legible here does not count as a key."""
        raw = await self._connection.call("HGET", self._keys.records, key_id)
        return _legible(raw)

    async def listed(self, namespace: str) -> list[Listed]:
        """The keys of a namespace, oldest first."""
        keys = self._keys
        ids = await self._connection.call("HKEYS", keys.of(namespace))
        if not ids:
            return []
        raws, used = await self._connection.pipeline([["HMGET", keys.records, *ids], ["HMGET", keys.used, *ids]])
        records = [(_legible(raw), int(at or 0)) for raw, at in zip(raws, used, strict=True)]
        return sorted(
            (Listed(record, at) for record, at in records if record and record.namespace == namespace),
            key=lambda listed: (listed.record.created_ms, listed.record.id),
        )

    async def revoke(
        self, namespace: str, key_id: str, *, children: bool = True, revoker: Caller | None = None
    ) -> list[str]:
        """The key and, unless `children` is False, all that come from it; their ids, its own first.

        They stop to count within the time that processes remember keys for (`Authenticator`). Raises KeyNotFound, also
        for a key of queues that the revoker has no business with.
        """
        keys = self._keys
        gone: Any = []
        if KEY_ID.match(key_id) and await self._is_seen(key_id, revoker):
            gone = await self._connection.run(
                KEY_REVOKE, KEY_REVOKE.keys(keys, of=keys.of(namespace)), [key_id, int(children)]
            )
        if not gone:
            raise KeyNotFound(f"there is no key {key_id[:40]!r} in namespace {namespace!r}")
        return [one.decode() for one in gone]

    async def _is_seen(self, key_id: str, revoker: Caller | None) -> bool:
        if revoker is None or revoker.queues is None:
            return True
        record = await self.find(key_id)
        return record is not None and revoker.sees(record.queues)

    async def touch(self, key_id: str) -> None:
        """Remember that the key was used now."""
        await self._connection.run(KEY_TOUCH, KEY_TOUCH.keys(self._keys), [key_id, now_ms()])

    async def close(self) -> None:
        await self._connection.close()


def _legible(raw: bytes | None) -> KeyRecord | None:
    try:
        return _decode(raw) if raw else None
    except msgspec.MsgspecError:
        return None


def _check(
    namespace: str, name: str, scopes: Sequence[str], queues: Sequence[str] | None, expires_seconds: float | None
) -> None:
    for what, text in (("namespace", namespace), ("name", name), *(("queue", queue) for queue in queues or ())):
        if not NAME.match(text):
            raise ConfigError(f"{what} {text[:140]!r} is not a name: {NAME_RULE}")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ConfigError(
            f"{f'{unknown[0][:100]!r} is not a scope' if unknown else 'a key needs a scope'}: "
            f"choose from {', '.join(SCOPES)}"
        )
    if queues is not None and not 1 <= len(queues) <= MAX_QUEUES:
        raise ConfigError(f"a key may be limited to 1 to {MAX_QUEUES} queues, {len(queues)} were given")
    if expires_seconds is not None and not 1 <= expires_seconds <= LONGEST_LIFE_SECONDS:
        raise ConfigError(
            f"expires_seconds {shown(expires_seconds)} is out of range: 1 to {shown(LONGEST_LIFE_SECONDS)}; none: never"
        )
