"""Cursors as callers hold them: sealed, so that they tell nothing of other queues, and good for one list alone.

A cursor says where in the store to go on, which may lie among jobs that the caller may not see. The key comes from the
pepper, so every process opens what another has sealed; without authentication there is nothing to hide, and the same
seal keeps a cursor from going on in another list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironforge.api.problems import ApiProblem
from ironforge.settings import Settings

NONCE_BYTES: Final = 12
# One that is longer was not made here.
MAX_CHARACTERS: Final = 1_024


class Cursors:
    """Of one namespace."""

    def __init__(self, settings: Settings) -> None:
        # Not the pepper itself: a seal of one purpose must not be one of another.
        purpose = b"cursor:" + settings.namespace.encode()
        self._cipher = AESGCM(hmac.digest(settings.key_pepper.encode(), purpose, hashlib.sha256))

    def seal(self, place: str | None, *purpose: object) -> str | None:
        """`purpose`: for whom and for which list it is. None: the end has no cursor."""
        if place is None:
            return None
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, place.encode(), msgspec.json.encode(purpose))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, cursor: str | None, *purpose: object) -> str | None:
        """Raises ApiProblem (400) for one that was not sealed here for this purpose."""
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor[:MAX_CHARACTERS] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            nonce, sealed = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, sealed, msgspec.json.encode(purpose)).decode()
        except (binascii.Error, ValueError, InvalidTag):
            hint = "take it unchanged from the page before, with the same filters"
            message = f"cursor: this cursor was not given out by this API, or for another list: {hint}"
            raise ApiProblem("invalid_parameter", message, field="cursor", hint=hint) from None
