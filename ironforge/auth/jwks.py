"""The keys of one issuer, from a file or fetched, and fetched again when a token names one that is not there.

A refresh is throttled: anybody can invent key ids, and must not make us call the issuer each time. While it does not
answer, the keys that are known go on counting.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from ironforge.addresses.authority import is_loopback
from ironforge.addresses.web_url import place_of
from ironforge.auth import verification_key
from ironforge.auth.verification_key import Family, VerificationKey
from ironforge.errors import ConfigError
from ironforge.logs.setup import get_logger

REFRESH_SECONDS: Final = 30.0
# Keys that an issuer has withdrawn stop to count after this long.
OLDEST_SECONDS: Final = 600.0
FETCH_SECONDS: Final = 5.0
MAX_BYTES: Final = 262_144
KEY_ID: Final = re.compile(r"[A-Za-z0-9._=-]{1,128}\Z")

_log = get_logger(__name__)


class Jwks:
    """`source`: an https URL or a file. Keys that cannot verify signatures of `family` are not there."""

    def __init__(
        self, source: str | Path, *, family: Family = "RS", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._family: Family = family
        self._clock = clock
        self._keys: dict[str | None, VerificationKey] = {}
        self._tried_at: float | None = None
        self._turn = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def key(self, key_id: object) -> VerificationKey | None:
        """The key of this id; a token without an id gets the only key there is."""
        if key_id is not None and not (isinstance(key_id, str) and KEY_ID.match(key_id)):
            return None
        found = self._pick(key_id)
        if self._age() < (REFRESH_SECONDS if found is None else OLDEST_SECONDS):
            return found
        async with self._turn:
            if self._age() >= REFRESH_SECONDS:
                self._tried_at = self._clock()
                await self._refresh()
        return self._pick(key_id)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _pick(self, key_id: str | None) -> VerificationKey | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _age(self) -> float:
        return float("inf") if self._tried_at is None else self._clock() - self._tried_at

    async def _refresh(self) -> None:
        try:
            content = (
                await asyncio.to_thread(self._source.read_bytes)
                if isinstance(self._source, Path)
                else await self._fetch(self._source)
            )
            self._keys = self._read(content)
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            _log.warning("the keys of an issuer cannot be read", source=str(self._source), reason=reason[:300])

    async def _fetch(self, url: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS))
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            content = await response.content.read(MAX_BYTES + 1)
            while len(content) <= MAX_BYTES and (more := await response.content.read(MAX_BYTES)):
                content += more
        if len(content) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        return content

    def _read(self, content: bytes) -> dict[str | None, VerificationKey]:
        """Keys that cannot be used here are passed over: an issuer may have others for other purposes."""
        keys: dict[str | None, VerificationKey] = {}
        for entry in _entries(content):
            try:
                key = verification_key.read(entry, self._family)
            except ValueError as error:
                _log.debug("a key of an issuer is passed over", reason=str(error)[:300])
                continue
            keys[key.id] = key
        if not keys:
            raise ValueError("it holds no usable key")
        return keys


def check_secrets(what: str, path: Path) -> None:
    """Raises ConfigError when one of the secrets in a key set cannot be used: a weak one is told before it counts."""
    try:
        read = [verification_key.read(entry, "HS") for entry in _entries(path.read_bytes())]
    except OSError as error:
        raise ConfigError(f"{what}: jwks_file {str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{what}: jwks_file {str(path)!r} cannot be used: {error}") from None
    if not read:
        raise ConfigError(f"{what}: jwks_file {str(path)!r} holds no key")


def _entries(content: bytes) -> list[Any]:
    document: Any = msgspec.json.decode(content)
    entries = document.get("keys") if isinstance(document, dict) else None
    return entries if isinstance(entries, list) else []


def check_url(what: str, url: str) -> None:
    """Raises ConfigError unless `url` is https, or http on this machine. Shows no secret that may be in it."""
    try:
        scheme, host = place_of(url)
    except ConfigError as error:
        raise ConfigError(f"{what}: jwks_url must be https: {error}") from None
    if scheme != "https" and not is_loopback(host):
        raise ConfigError(
            f"{what}: jwks_url {scheme}://{host} must be https: whoever changes the keys on their way is trusted"
        )
