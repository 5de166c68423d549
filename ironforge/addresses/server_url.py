"""The address of the store as one setting: a server, the sentinels that know it, or some nodes of a cluster.

Parameters behind the `?` are redis-py's, except those for the sentinels themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from ironforge.addresses.authority import LOGIN_RULE, host_of, split
from ironforge.errors import ConfigError
from ironforge.formats.suggest import closest

DEFAULT_URL: Final = "redis://127.0.0.1:6379/0"
SENTINEL_PORT: Final = 26_379
SERVER_PORT: Final = 6_379
SINGLE: Final = ("redis", "rediss", "unix")
KINDS: Final = ("sentinel", "cluster")
SCHEMES: Final = (*SINGLE, *(f"{scheme}+{kind}" for kind in KINDS for scheme in SINGLE[:2]))
# Of the URL's parameters those that are for the sentinels; all others are redis-py's, for the server.
SENTINEL_PARAMETERS: Final = {"sentinel_username": "username", "sentinel_password": "password"}

# What TLS is for; redis-py would take other values.
CHECKS: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}
_TEXTS: Final = ("username", "password", "client_name")
_TLS: Final = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
    "ssl_ciphers",
)
_NUMBERS: Final[dict[str, Callable[[str], float]]] = {
    "db": int,
    "socket_connect_timeout": float,
    "ssl_min_version": int,
}
PARAMETERS: Final = (*_TEXTS, *_NUMBERS, *_TLS, *CHECKS, *SENTINEL_PARAMETERS)

_DATABASE: Final = re.compile(r"(?:/[0-9]{0,9}/?)?")
_SERVICE: Final = re.compile(r"/[A-Za-z0-9._-]+/?")


class ServerUrl(NamedTuple):
    """`hosts`: sentinels, or some nodes of the cluster. `parameters`: for the server, `asking`: for the sentinels."""

    scheme: str
    kind: str
    login: str
    hosts: list[tuple[str, int]]
    path: str
    parameters: str
    asking: dict[str, str]

    def __repr__(self) -> str:
        return f"ServerUrl({self.scheme}, {self.kind}, {self.hosts})"  # a traceback may show it

    def server(self, host: str, port: int) -> str:
        """The plain URL of one server."""
        host = f"[{host}]" if ":" in host else host
        database = self.path if self.kind != "sentinel" else ""
        return f"{self.scheme}://{self.login}{host}:{port}{database}{self.parameters}"


def parse(url: str) -> ServerUrl:
    """Raises ConfigError for an address that cannot be right; it names the part, and shows no secret."""
    scheme, login, hosts, path, query = split(url, SCHEMES)
    try:
        parsed = _parsed(scheme, login, hosts, path, query)
        urlsplit(url)  # redis-py reads it so, and would stumble with the whole of it in its message
    except ConfigError:
        if "@" in (query if scheme == "unix" else path + query):
            raise ConfigError(LOGIN_RULE) from None
        raise
    except ValueError:
        raise ConfigError(LOGIN_RULE) from None
    return parsed


def _parsed(scheme: str, login: str, hosts: str, path: str, query: str) -> ServerUrl:
    base, _, kind = scheme.partition("+")
    given = _parameters(query, base, kind)
    asking = {name: given.pop(key) for key, name in SENTINEL_PARAMETERS.items() if key in given}
    if base == "unix":
        _check_socket(hosts, path)
        found = []
    else:
        default_port = SENTINEL_PORT if kind == "sentinel" else SERVER_PORT
        found = [host_of(part, default_port) for part in hosts.split(",")]
        if len(found) > 1 and not kind:
            raise ConfigError(f"several hosts: write {base}+sentinel:// or {base}+cluster:// for them")
        _check_path(kind, path)
    parameters = f"?{urlencode(given)}" if given else ""
    return ServerUrl(base, kind, login, found if kind else [], path, parameters, asking)


def _check_socket(hosts: str, path: str) -> None:
    if hosts or not path.strip("/") or path.endswith("/"):
        raise ConfigError("unix:// is followed by the whole path of a socket, as in unix:///run/valkey.sock")


def _check_path(kind: str, path: str) -> None:
    if kind == "sentinel":
        if not path.strip("/"):
            raise ConfigError("names no service: redis+sentinel://host:26379,host:26379/<the name Sentinel monitors>")
        if not _SERVICE.fullmatch(path):
            raise ConfigError(f"service {path[1:61]!r} is not one name: letters, digits, '.', '_' and '-'")
    elif not _DATABASE.fullmatch(path):
        raise ConfigError(f"database {path[1:61]!r} is not a number: write /0, or leave it out")
    elif kind == "cluster" and path.strip("/") not in ("", "0"):
        raise ConfigError(f"names database {path.strip('/')}: a cluster has only database 0")


def _parameters(query: str, base: str, kind: str) -> dict[str, str]:
    found = parse_qsl(query[1:], keep_blank_values=True)
    given = dict(found)
    for name, value in found:
        _check_parameter(name, value, base, kind)
    if len(given) < len(found):
        raise ConfigError("a parameter is there twice: which of them counts?")
    if kind == "cluster" and given.get("db", "0") != "0":
        raise ConfigError(f"names database {given['db']}: a cluster has only database 0")
    return given


def _check_parameter(name: str, value: str, base: str, kind: str) -> None:
    if name not in PARAMETERS:
        close = closest(name, PARAMETERS)
        hint = f"did you mean {close}?" if close else f"known are {', '.join(PARAMETERS)}"
        raise ConfigError(f"parameter {name[:40]!r} is unknown: {hint}")
    if not value:
        raise ConfigError(f"parameter {name} has no value")
    if name.startswith("ssl") and base != "rediss":
        raise ConfigError(f"parameter {name} is for TLS, and {base}:// has none: write rediss://")
    if name in SENTINEL_PARAMETERS and kind != "sentinel":
        raise ConfigError(f"parameter {name} is for {base}+sentinel://")
    if name in _NUMBERS and not _is_number(value, _NUMBERS[name]):
        raise ConfigError(f"parameter {name}={value[:40]!r} is not a number")
    if value.lower() != CHECKS.get(name, value.lower()):
        raise ConfigError(
            f"{name}={value} gives up knowing which server answers: leave it out, and name your own authority with "
            "ssl_ca_certs"
        )


def _is_number(text: str, kind: Callable[[str], float]) -> bool:
    try:
        return 0 <= kind(text) < float("inf")
    except ValueError:
        return False


def without_password(url: str) -> str:
    """For messages: without the user's name and password, wherever in the address they are."""
    try:
        parse(url)
    except ConfigError:
        return "***"
    base, question, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    authority, slash, path = rest.partition("/")
    _, at, hosts = authority.rpartition("@")
    hidden = "***" if "password" in query else query
    return f"{scheme}://{'***@' if at else ''}{hosts}{slash}{path}{question}{hidden}"
