"""Keeps web pages of other sites away from an API that their visitor's browser can reach.

A page may have a browser send a form to any address, and read what comes from a name that is its own, even when that
name has come to mean 127.0.0.1. A browser says both: whose page it is (Origin, Sec-Fetch-Site), and under which name
it looked for us (Host).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from ironforge.addresses.authority import is_loopback
from ironforge.api.problems import ApiProblem

SEC_FETCH_SITE: Final = "Sec-Fetch-Site"
# Methods that change nothing.
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OWN_SITES: Final = frozenset({"same-origin", "none"})

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?\Z")
_ORIGIN: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?\Z")
_PORTS: Final = {"http": "80", "https": "443"}
_REMEMBERED: Final = 64


class Site:
    """What a listener takes for its own. `asks_callers`: every caller has to show a credential, which no page of
    another site has."""

    def __init__(self, *, asks_callers: bool) -> None:
        self._asks_callers = asks_callers
        self._only_loopback = False
        self._schemes: tuple[str, ...] = ("http",)
        self._good_hosts: set[str] = set()

    def listens(self, host: str, *, tls: bool) -> None:
        """Told once, before the first request. On an address that others reach, any name may be its own."""
        self._only_loopback = is_loopback(host) and not self._asks_callers
        # There a proxy may speak TLS for us.
        self._schemes = ("https",) if tls else ("http",) if self._only_loopback else ("http", "https")

    def check(self, request: web.Request) -> None:
        """Raises ApiProblem for what a page of another site has a browser send, and for what is no host."""
        headers = request.headers
        host = headers.get(hdrs.HOST)
        if host not in self._good_hosts:
            self._check_host(host)
        target = request.raw_path
        if target[:1] != "/" and "://" in target and urlsplit(target).netloc.lower() != (host or "").lower():
            raise ApiProblem("invalid_host", f"the target {target[:100]!r} is not at the host {_shown(host)}")
        if hdrs.ORIGIN in headers:
            origin = ", ".join(headers.getall(hdrs.ORIGIN))
            if not self._is_own(origin, host or ""):
                raise _foreign(f"Origin {origin[:100]!r}")
            if not self._asks_callers and not _cannot_be_rebound(host or ""):
                raise ApiProblem(
                    "host_not_allowed",
                    f"a web page under the name {_shown(host)} may be anybody's: whoever owns a name can have it mean "
                    "this machine. Without authentication browsers use an address or a name without a dot here, or "
                    "set IRONFORGE_AUTH=on",
                )
        if SEC_FETCH_SITE in headers and request.method not in SAFE_METHODS:
            site = ", ".join(headers.getall(SEC_FETCH_SITE))
            if site not in OWN_SITES:
                raise _foreign(f"{SEC_FETCH_SITE} {site[:100]!r}")

    def _check_host(self, host: str | None) -> None:
        if host is None and not self._only_loopback:
            return  # HTTP/1.0 has none
        found = _HOST.match(host or "")
        if host is None or found is None:
            raise ApiProblem("invalid_host", f"Host {_shown(host)} is not a name or address with a port")
        if self._only_loopback and not is_loopback(found[1].strip("[]")):
            raise ApiProblem(
                "host_not_allowed",
                f"Host {_shown(host)} is not this machine's own: without authentication the API answers to localhost, "
                "127.0.0.1 and [::1] alone, or any web page could reach it under a name of its own. Use one of these "
                "(a proxy too), or set IRONFORGE_AUTH=on",
            )
        if len(self._good_hosts) < _REMEMBERED:
            self._good_hosts.add(host)

    def _is_own(self, origin: str, host: str) -> bool:
        page, ours = _ORIGIN.match(origin), _HOST.match(host)
        if page is None or ours is None or page[1] not in self._schemes:
            return False
        usual = _PORTS[page[1]]
        return (page[2].lower(), page[3] or usual) == (ours[1].lower(), ours[2] or usual)


SITE: Final = web.AppKey("site", Site)


def _cannot_be_rebound(host: str) -> bool:
    """An address, a name without a dot, or this machine's own: no page of a stranger comes from there."""
    found = _HOST.match(host)
    name = found[1].lower() if found else "."
    if "." not in name or name.startswith("[") or name == socket.gethostname().lower():
        return True
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False


def _foreign(what: str) -> ApiProblem:
    return ApiProblem("cross_site_request", f"{what} is another site's: its pages cannot use this API from a browser")


def _shown(host: str | None) -> str:
    return "(none)" if host is None else repr(host[:100])
