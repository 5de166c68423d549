"""From the Authorization header to a caller.

Keys that proved themselves are remembered for a few seconds, so a call costs no question to the store; that time is
also how long a revoked key may still work. Nothing is remembered of keys that do not exist: whoever invents some
could push out the ones in use.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn, TypeVar

from ironforge.auth.api_keys import ApiKeys, KeyRecord
from ironforge.auth.caller import Caller
from ironforge.auth.credentials import PREFIX, read_key, seal
from ironforge.auth.tokens import Tokens
from ironforge.errors import StoreError, Unauthenticated
from ironforge.formats.timestamps import now_ms
from ironforge.logs.setup import get_logger

REMEMBERED_SECONDS: Final = 15.0
REMEMBERED_KEYS: Final = 10_000
USED_SECONDS: Final = 60.0
LONGEST: Final = 8_192

T = TypeVar("T")

_log = get_logger(__name__)


class _Remembered(NamedTuple):
    record: KeyRecord
    caller: Caller
    until: float


class Authenticator:
    """`tokens` None: JSON Web Tokens are not accepted. `clock` is monotonic."""

    def __init__(
        self,
        api_keys: ApiKeys,
        pepper: str,
        tokens: Tokens | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_keys = api_keys
        self._pepper = pepper
        self._tokens = tokens
        self._clock = clock
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._used: OrderedDict[str, float] = OrderedDict()

    async def authenticate(self, header: str | None) -> Caller:
        """Raises Unauthenticated, and StoreUnavailable: who cannot be asked about does not get in."""
        if header is None:
            raise Unauthenticated(
                "this call needs a credential: send Authorization: Bearer with an API key, "
                "which our clients take from IRONFORGE_API_KEY",
                code="missing_credentials",
            )
        scheme, _, credential = header.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential.isascii() or not 0 < len(credential) <= LONGEST:
            _refuse("the header is not `Bearer <credential>`")
        if credential.startswith(PREFIX):
            return await self._by_key(credential)
        if self._tokens is None:
            _refuse("not an API key, and no issuer of tokens is configured")
        return await self._tokens.caller(credential)

    async def _by_key(self, text: str) -> Caller:
        key = read_key(text)
        if key is None:
            _refuse("the form or the checksum of the key is wrong")
        now = self._clock()
        known = self._remembered.get(key.id)
        remembered = known is not None and now < known.until
        if known is None or not remembered:
            known = await self._find(key.id, now)
        # The time must not tell a wrong secret from a key that does not exist: both cost a comparison, and both a
        # question to the store.
        expected = known.record.seal if known else bytes(32)
        if not hmac.compare_digest(seal(self._pepper, key.secret), expected) or known is None:
            if remembered:
                await self._api_keys.find(key.id)
            _refuse("unknown, revoked, or with a wrong secret", key_id=key.id)
        if known.record.expires_ms and known.record.expires_ms <= now_ms():
            raise Unauthenticated("this API key has expired: have a new one made", code="token_expired")
        await self._note_use(key.id)
        return known.caller

    async def _find(self, key_id: str, now: float) -> _Remembered | None:
        record = await self._api_keys.find(key_id)
        if record is None:
            self._remembered.pop(key_id, None)
            return None
        # Counted from before the question: it was true then.
        known = _Remembered(record, record.caller(), now + REMEMBERED_SECONDS)
        _keep(self._remembered, key_id, known)
        return known

    async def _note_use(self, key_id: str) -> None:
        now = self._clock()
        if now - self._used.get(key_id, -USED_SECONDS) < USED_SECONDS:
            return
        _keep(self._used, key_id, now)
        try:
            await self._api_keys.touch(key_id)
        except StoreError as error:
            _log.debug("the last use of a key could not be noted", key_id=key_id, error=str(error))


def _keep(memory: OrderedDict[str, T], key_id: str, what: T) -> None:
    """As the newest; the oldest goes when there are too many."""
    memory[key_id] = what
    memory.move_to_end(key_id)
    if len(memory) > REMEMBERED_KEYS:
        memory.popitem(last=False)


def _refuse(reason: str, **context: str) -> NoReturn:
    """One answer for all of these: only the log says which it was."""
    _log.info("credential refused", reason=reason, **context)
    raise Unauthenticated(
        "the credential does not count: check that it is complete and has not been revoked",
        code="invalid_credentials",
    )
