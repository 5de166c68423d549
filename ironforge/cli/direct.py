"""What the commands share that ask the server itself, not the API.

No key can allow the first one to be made; that an operator may is shown by the address of the server and the pepper.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ironforge.addresses.server_url import DEFAULT_URL
from ironforge.errors import ConfigError
from ironforge.process.per_loop import Closable
from ironforge.settings import Settings, environment_name

T = TypeVar("T")
Opened = TypeVar("Opened", bound=Closable)


def with_opened(
    kind: Callable[[Settings], Opened], settings: Settings, work: Callable[[Opened], Coroutine[Any, Any, T]]
) -> T:
    """The result of `work` with a `kind` that is connected to the server of the settings meanwhile."""

    async def run() -> T:
        one = kind(server_of(settings))
        try:
            return await work(one)
        finally:
            await one.close()

    return asyncio.run(run())


def server_of(settings: Settings) -> Settings:
    """The settings with the server to ask: the given one, that of a running `ironforge dev`, or the default."""
    from ironforge.runtime.embedded_server import SOCKET, url_of  # noqa: PLC0415

    if settings.redis_url:
        return settings
    socket = Path(settings.data_dir).absolute() / SOCKET
    url = url_of(socket) if socket.exists() else DEFAULT_URL
    return msgspec.structs.replace(settings, redis_url=url)


def need_pepper(settings: Settings) -> None:
    if not settings.key_pepper:
        raise ConfigError(
            f"{environment_name('key_pepper')} is not set: it must be the one that the API has "
            '(make the first one with python -c "import secrets; print(secrets.token_hex(32))")'
        )


def shown_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")[:-6] + "Z" if ms else ""
