"""Why nobody answered over HTTP, and what to do: a certificate wants another remedy than a closed port."""

from __future__ import annotations

from typing import Final

import aiohttp

# The first that fits counts: some of these are kinds of others.
_CAUSES: Final[tuple[tuple[tuple[type[BaseException], ...], str, str], ...]] = (
    (
        (aiohttp.ClientConnectorCertificateError,),
        "nobody whom this machine trusts vouches for its certificate under this name",
        "name your own authority with SSL_CERT_FILE, or connect by the name that is in the certificate",
    ),
    ((aiohttp.ClientConnectorDNSError,), "the name of the host is not known", "check it in the address"),
    ((aiohttp.ClientSSLError,), "no TLS connection came about", "where the port speaks no TLS, write http://"),
    ((aiohttp.ClientConnectorError,), "nobody listens there", "is `ironforge api` running there?"),
    ((TimeoutError,), "no answer in time", "is it overloaded, or behind a firewall?"),
    (
        (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError),
        "the connection was closed",
        "it may be ending; where the port speaks TLS, write https://",
    ),
    ((aiohttp.ClientResponseError,), "what answers there is no HTTP", "check the port"),
)


def said(error: Exception) -> str:
    """The cause, the system's own words in brackets, and what to do; those words alone where it is unknown."""
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    words = str(reason) or type(error).__name__
    for kinds, what, remedy in _CAUSES:
        if isinstance(error, kinds):
            return f"{what} ({words}): {remedy}"
    return words
