"""Why the server cannot be used, told to whoever has to mend it: each cause with what to do about it.

What is raised says little: a wrong password, a port that speaks no TLS and a full table of clients may all be a
connection that did not come about. So its words are read as well, and what it was raised for.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from redis import exceptions as server

Sign = str | type[BaseException]
Signs = Sign | tuple[Sign, ...]

# A sign is a type, or a part of the text, of the error or of one that led to it; the first cause with a sign counts.
_CAUSES: Final[tuple[tuple[Signs, str, str], ...]] = (
    (
        "certificate is not valid for",
        "the server's certificate is for another name",
        "connect by a name that is in it, or have it issued for this one",
    ),
    ("certificate has expired", "the server's certificate has run out", "renew it on the server"),
    ("certificate is not yet valid", "the server's certificate is of the future", "compare the clocks"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "nobody whom this machine trusts has signed the server's certificate",
        "name its authority with ?ssl_ca_certs=/path/ca.pem",
    ),
    (ssl.SSLError, "no TLS connection came about", "where the port speaks no TLS, write redis:// for rediss://"),
    (socket.gaierror, "the name of the host is not known", "check it in the address, and the resolver of this machine"),
    (ConnectionRefusedError, "nobody listens there", "start the server, or check host and port in the address"),
    (PermissionError, "this user may not open the socket", "run as the server's user, or check its unixsocketperm"),
    (
        FileNotFoundError,
        "a file of the address is not there",
        "a socket comes with its server; of TLS it may be one of the ssl_… parameters",
    ),
    ("called without any password configured", "the server knows no password", "leave it out, or set one there"),
    (
        ("Authentication required", "NOAUTH"),
        "the server asks for a password",
        "put it into the address: redis://:PASSWORD@host",
    ),
    (server.AuthenticationError, "the server refused the login", "check user and password in the address"),
    (
        server.NoPermissionError,
        "the server's user may not do this",
        "give it the commands and keys that `ironforge docs security#users-of-the-server` lists for it",
    ),
    ("DB index is out of range", "the server has no such database", "write /0, or raise `databases` on the server"),
    ("SELECT is not allowed in cluster", "a cluster has only database 0", "write redis+cluster://, and no database"),
    ("cluster support disabled", "the server is in no cluster", "write redis:// for redis+cluster://"),
    ("unknown command 'SENTINEL'", "a server answers there, no sentinel", "write redis://, or a sentinel's port"),
    (
        "No master found",
        "no sentinel names a primary for this service",
        "check the service's name and the sentinels' addresses and login",
    ),
    (server.MovedError, "another server of a cluster has these keys", "write redis+cluster:// for redis://"),
    (server.ClusterDownError, "the cluster is not whole", "look at it with `redis-cli --cluster check HOST:PORT`"),
    ("protected mode", "the server takes no callers from other machines", "give it a password (requirepass)"),
    ("max number of clients", "the server has as many clients as it takes", "raise its maxclients, or end some"),
    (server.InvalidResponse, "what answers there is no Redis or Valkey", "check the port in the address"),
    (
        ("by server", ConnectionResetError),
        "the connection was closed",
        "the server may be ending; a port that speaks TLS wants rediss:// for redis://",
    ),
    (
        ("unreachable", "No route to host"),
        "no way leads there",
        "check the address, and the network of this machine",
    ),
    (
        "no TLS connection",
        "nobody speaks TLS there",
        "where the port speaks none, write redis:// for rediss://; else the server is stopped, or behind a firewall",
    ),
    (
        (TimeoutError, server.TimeoutError),
        "the server is silent",
        "is it stopped, overloaded, or behind a firewall?",
    ),
    ("WRONGTYPE", "a key holds something else", "`ironforge doctor` names it, and the command that puts it aside"),
    (server.OutOfMemoryError, "its memory is full", "let nodes work off what waits, add nodes, or raise maxmemory"),
)
# redis-py shows its whole client behind the first words.
_NOISE: Final = re.compile(r" : <redis\..*", re.DOTALL)


def is_known(error: BaseException | None) -> bool:
    """Whether `said` tells what to do."""
    return _cause(error) is not None


def said(error: BaseException) -> str:
    """The cause, the server's or the system's own words in brackets, and what to do; those words alone if unknown."""
    words = _NOISE.sub("", str(error)) or type(error).__name__
    cause = _cause(error)
    return words if cause is None else f"{cause[1]} ({words.rstrip('.')}): {cause[2]}"


def _cause(error: BaseException | None) -> tuple[Signs, str, str] | None:
    chain = list(_chain(error))
    return next((cause for cause in _CAUSES if any(_fits(cause[0], connection) for connection in chain)), None)


def _fits(sign: Signs, error: BaseException) -> bool:
    if isinstance(sign, tuple):
        return any(_fits(one, error) for one in sign)
    return sign in str(error) if isinstance(sign, str) else isinstance(error, sign)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
