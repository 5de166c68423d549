"""What commands share that ask the server itself, not the API.

Somebody has to make the first key, and only whoever runs the installation has the address of the server and the pepper.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from ironforge.errors import ConfigError
from ironforge.settings import Settings, environment_name

T = TypeVar("T")


class _Closable(Protocol):
    async def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


def with_opened(opened: Callable[[], Opened], work: Callable[[Opened], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        one = opened()
        try:
            return await work(one)
        finally:
            await one.close()

    return asyncio.run(run())


def need_pepper(settings: Settings) -> None:
    if not settings.key_pepper:
        raise ConfigError(
            f"{environment_name('key_pepper')} is not set: it must be the one that the API has "
            '(make the first one with python -c "import secrets; print(secrets.token_hex(32))")'
        )


def server_settings(settings: Settings) -> Settings:
    from ironforge.doctor import server_of  # noqa: PLC0415

    return server_of(settings)


def shown_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")[:-6] + "Z" if ms else ""
