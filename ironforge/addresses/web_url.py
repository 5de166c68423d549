"""The addresses of HTTP APIs, as settings name them."""

from __future__ import annotations

from typing import Final

from ironforge.addresses.authority import host_of, split
from ironforge.errors import ConfigError

SCHEMES: Final = ("http", "https")
_PORTS: Final = {"http": 80, "https": 443}


def url_of(host: str, port: int, *, tls: bool = False) -> str:
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def checked(what: str, url: str) -> str:
    """`url` without a slash at its end. Raises ConfigError that begins with `what`, and shows no secret."""
    try:
        _check(url)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None
    return url.rstrip("/")


def place_of(url: str) -> tuple[str, str]:
    """Scheme and host. Raises ConfigError for what is no address over HTTP, or holds a password; it shows none."""
    parts = split(url, SCHEMES)
    if parts.login or "@" in parts.path:
        raise ConfigError("it holds a user or a password, which have no place in it")
    return parts.scheme, host_of(parts.hosts, _PORTS[parts.scheme])[0]


def _check(url: str) -> None:
    place_of(url)
    if "?" in url:
        raise ConfigError("a ? is in it: an address of an API ends with its path")
