"""What the commands share that ask the server itself, not the API.

No key can allow the first one to be made; that an operator may is shown by the address of the server and the pepper.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from ironforge.errors import ConfigError
from ironforge.process.per_loop import Closable
from ironforge.settings import Settings, environment_name

T = TypeVar("T")
Opened = TypeVar("Opened", bound=Closable)


def with_opened(
    kind: Callable[[Settings], Opened], settings: Settings, work: Callable[[Opened], Coroutine[Any, Any, T]]
) -> T:
    """The result of `work` with a `kind` that is connected to the server of the settings meanwhile."""
    from ironforge.doctor import server_of  # noqa: PLC0415

    async def run() -> T:
        one = kind(server_of(settings))
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


def shown_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")[:-6] + "Z" if ms else ""
