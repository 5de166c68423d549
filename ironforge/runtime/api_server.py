"""The parent of `ironforge api --processes N`: holds the port, and keeps N API processes listening on it.

Each process listens on its own (SO_REUSEPORT), so the system spreads connections over them and none has to be
passed on. The parent binds the port too but never listens: it owns the choice of a free port, and keeps it while
every child is dead. On macOS the last process to listen gets the connections; the others are its reserve.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ironforge.addresses.web_url import url_of
from ironforge.api.server import SHUTDOWN_SECONDS, cannot_listen, check_address
from ironforge.errors import ConfigError
from ironforge.logs.setup import get_logger
from ironforge.metrics.exposition import ChildMetrics
from ironforge.runtime.process_manager import Parent, metrics_folder
from ironforge.runtime.tls import server_context
from ironforge.settings import Settings
from ironforge.store.server_checks import verify

# A child waits for bodies on their way, then for handlers, then closes its connections to Redis.
PATIENCE_SECONDS: Final = 2 * SHUTDOWN_SECONDS + 5.0

log = get_logger(__name__)


async def run_api_processes(command: Sequence[str], settings: Settings, *, allow_public: bool = False) -> int:
    """Run `settings.processes` children of `command --port PORT` until a signal ends them; returns the exit code.

    Raises ConfigError, once for all children: the address is public or taken, or the server does not fit.
    """
    check_address(settings.http_host, allow_public=allow_public or settings.auth == "on")
    tls = server_context(settings)
    with reserved(settings.http_host, settings.http_port) as port, metrics_folder() as folder:
        await verify(settings)
        log.info(
            "api is starting", url=url_of(settings.http_host, port, tls=tls is not None), processes=settings.processes
        )
        child = [*command, "--port", str(port)]
        return await Parent("api", child, settings.processes, ChildMetrics(folder), PATIENCE_SECONDS).run()


@contextlib.contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Keep `port` for processes of this user that share it while the block runs; yields it, chosen when it was 0.

    Raises ConfigError when the address cannot be listened on.
    """
    with contextlib.ExitStack() as held:
        try:
            for family, address in _addresses(host, port):
                where = (address[0], port, *address[2:])
                # Shared ports would let a second installation in without a word. So first bind without sharing.
                with _socket(family) as probe:
                    probe.bind(where)
                placeholder = held.enter_context(_socket(family))
                placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                placeholder.bind(where)
                port = placeholder.getsockname()[1]
        except OSError as error:
            raise ConfigError(cannot_listen(host, port, error)) from None
        yield port


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """All that `host` stands for, as asyncio's servers see it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _kind, _protocol, _name, address in found))


def _socket(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
