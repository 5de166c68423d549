"""The addresses of HTTP APIs: ours, where callers look for it, and others that a setting names."""

from __future__ import annotations

import ipaddress
from typing import Final

from ironforge.authority import host_of, split
from ironforge.config import Settings
from ironforge.errors import ConfigError

SCHEMES: Final = ("http", "https")
_PORTS: Final = {"http": 80, "https": 443}


def url_of(host: str, port: int, *, tls: bool = False) -> str:
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def api_url(settings: Settings) -> str:
    """Where callers find the API: at `settings.url`, or else where an API with these settings listens here."""
    if settings.url:
        return checked("IRONFORGE_URL", settings.url)
    host = settings.http_host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if address.is_unspecified:  # it listens everywhere, so here as well
            host = "127.0.0.1" if address.version == 4 else "::1"
    return url_of(host, settings.http_port or Settings().http_port, tls=bool(settings.tls_cert))


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
