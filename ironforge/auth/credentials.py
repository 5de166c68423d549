"""The form of an API key: `ifk_<id>_<secret><checksum>`, made, read and sealed here.

The secret has 256 random bits, so a keyed hash is enough to store it: there is nothing to guess, and a slow hash
would be a way to keep the API busy. The checksum lets scanners tell a leaked key from noise, and saves the store the
question about what was never a key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from typing import Final, NamedTuple

PREFIX: Final = "ifk_"
ID_CHARACTERS: Final = 12
SECRET_CHARACTERS: Final = 43  # of 62: just above 256 bits
CHECKSUM_CHARACTERS: Final = 6  # of 62: just above 32 bits

_ID: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_ID: Final = re.compile(rf"[a-z0-9]{{{ID_CHARACTERS}}}\Z")
_KEY: Final = re.compile(
    rf"{PREFIX}([a-z0-9]{{{ID_CHARACTERS}}})_([0-9A-Za-z]{{{SECRET_CHARACTERS}}})([0-9A-Za-z]{{{CHECKSUM_CHARACTERS}}})\Z"
)


class ApiKey(NamedTuple):
    """A key as its owner holds it."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        body = f"{PREFIX}{self.id}_{self.secret}"
        return body + _checksum(body)


def new_key() -> ApiKey:
    return ApiKey(_random(_ID, ID_CHARACTERS), _random(_BASE62, SECRET_CHARACTERS))


def read_key(text: str) -> ApiKey | None:
    """None for what cannot be a key."""
    match = _KEY.match(text)
    if match is None:
        return None
    key = ApiKey(match[1], match[2])
    return key if hmac.compare_digest(_checksum(text[:-CHECKSUM_CHARACTERS]), match[3]) else None


def seal(pepper: str, secret: str) -> bytes:
    """What is stored instead of the secret: useless to whoever reads the store without the pepper."""
    return hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _checksum(body: str) -> str:
    number, text = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(_BASE62))
        text = _BASE62[digit] + text
    return text
