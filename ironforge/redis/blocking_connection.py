"""The heartbeat's own connection: blocking, for a thread, so that a busy event loop does not cost a node its lease."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError

from ironforge.redis.connection import Command
from ironforge.redis.scripts import Script
from ironforge.redis.server_locator import ServerLocator, blocking


class BlockingConnection:
    """One connection; after any error the next call looks for the server anew. Not for two threads at once."""

    def __init__(self, address: ServerLocator, patience_seconds: float) -> None:
        self._address = address
        self._patience_seconds = patience_seconds
        self._client: redis.Redis | None = None
        self._send: Callable[..., Any]

    def run(self, script: Script, keys: Sequence[str], arguments: Command) -> Any:
        """Raises what redis-py raises."""
        try:
            return self.call(*script.by_hash(keys, arguments))
        except NoScriptError:
            return self.call(*script.by_text(keys, arguments))

    def call(self, *command: str | bytes | int) -> Any:
        """Raises what redis-py raises."""
        try:
            return self._connected()(*command)
        except NoScriptError:
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Callable[..., Any]:
        if self._client is None:
            client: Any = blocking(self._address.find_blocking(), self._patience_seconds)
            self._client, self._send = client, client.execute_command
            if self._address.may_be_replica:
                # redis-py has an opinion about the reply to ROLE, but not about that to EVAL.
                self._address.check_role(self._send("EVAL", "return redis.call('ROLE')", 0))
        return self._send
