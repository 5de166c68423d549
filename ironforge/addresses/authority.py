"""Reads the part of a URL between `//` and the path, `user:password@host:port`, and tells the mistakes in it.

No message shows what may be a password, or a part of one: after a `/` that is not encoded the rest of it is elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

from ironforge.errors import ConfigError

LARGEST_PORT: Final = 65_535
LOGIN_RULE: Final = (
    "a user name or a password holds a character that means something in a URL: write / as %2F, ? as %3F, # as %23, "
    "@ as %40, [ as %5B, ] as %5D, % as %25"
)
_LOGIN: Final = re.compile(r"(?:[^\s/?#@\[\]%]|%[0-9A-Fa-f]{2})*")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}")
_PLACE: Final = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<name>[^\[\]:\s]*))(?::(?P<port>.*))?")


class Parts(NamedTuple):
    """`login` ends in its `@`, where there is one; `path` and `query` begin with their `/` and `?`."""

    scheme: str
    login: str
    hosts: str
    path: str
    query: str


def split(url: str, schemes: tuple[str, ...]) -> Parts:
    """Raises ConfigError for what no URL may have, or none of ours."""
    if not url.isprintable() or url != url.strip():
        raise ConfigError("a space is at its end, or a control character in it: was it copied with a line end?")
    scheme, colon, rest = url.partition("://")
    if not colon or not _SCHEME.fullmatch(scheme) or scheme not in schemes:
        raise ConfigError(_wrong_scheme(scheme if colon else "", schemes))
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    path, question, query = rest[len(authority) :].partition("?")
    login, at, hosts = authority.rpartition("@")
    if not _LOGIN.fullmatch(login):
        raise ConfigError(LOGIN_RULE)
    if "#" in rest:
        raise ConfigError("a # is in it, which begins what no server gets to see: in a password write %23")
    return Parts(scheme, login + at, hosts, path, question + query)


def _wrong_scheme(scheme: str, schemes: tuple[str, ...]) -> str:
    if scheme.lower() in schemes:
        return f"scheme {scheme!r} is written in small letters, {scheme.lower()}://"
    what = f"scheme {scheme!r} is" if _SCHEME.fullmatch(scheme) else "it begins with"
    none = "not one of" if _SCHEME.fullmatch(scheme) else "none of"
    return f"{what} {none} {', '.join(f'{name}://' for name in schemes)}"


def host_of(text: str, default_port: int) -> tuple[str, int]:
    """The host and the port of `host`, `host:port` or `[address]:port`. Raises ConfigError."""
    if text.count(":") > 1 and not text.startswith("["):
        raise ConfigError("a host has more than one colon: an IPv6 address stands in brackets, as in [::1]:6379")
    place = _PLACE.fullmatch(text)
    host = (place["v6"] or place["name"]) if place else ""
    if place is None or not host or not _is_address(place["v6"]):
        raise ConfigError("a host is missing, or is none: write host or host:port, without empty ones between commas")
    port = place["port"]
    if port is None:
        return host, default_port
    if not (port.isascii() and port.isdigit()):
        raise ConfigError(f"the port of a host is not a number from 1 to {LARGEST_PORT}")
    if not 1 <= int(port[:9]) <= LARGEST_PORT:
        raise ConfigError(f"port {port[:9]} is not one from 1 to {LARGEST_PORT}")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. A name other than localhost may resolve to anything."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _is_address(text: str | None) -> bool:
    try:
        return text is None or bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False
