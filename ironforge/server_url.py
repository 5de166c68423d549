"""The address of the store as one setting: a server, the sentinels that know it, or some nodes of a cluster.

Everything behind the `?` is redis-py's, except what is for the sentinels themselves.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from ironforge.errors import ConfigError

SENTINEL_PORT: Final = 26_379
SERVER_PORT: Final = 6_379
SINGLE: Final = ("redis", "rediss", "unix")
KINDS: Final = ("sentinel", "cluster")
SCHEMES: Final = (*SINGLE, *(f"{scheme}+{kind}" for kind in KINDS for scheme in SINGLE[:2]))
# Of the URL's parameters those that are for the sentinels; all others are redis-py's, for the server.
SENTINEL_PARAMETERS: Final = {"sentinel_username": "username", "sentinel_password": "password"}

# What TLS is for; redis-py would take other values.
CHECKS: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}


class ServerUrl(NamedTuple):
    """`hosts`: sentinels, or some nodes of the cluster. `parameters`: for the server, `asking`: for the sentinels."""

    scheme: str
    kind: str
    login: str
    hosts: list[tuple[str, int]]
    path: str
    parameters: str
    asking: dict[str, str]

    def server(self, host: str, port: int) -> str:
        """The plain URL of one server."""
        host = f"[{host}]" if ":" in host else host
        database = self.path if self.kind != "sentinel" else ""
        return f"{self.scheme}://{self.login}{host}:{port}{database}{self.parameters}"


def parse(url: str) -> ServerUrl:
    """Raises ConfigError for an address that cannot be right."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise ConfigError(f"scheme {scheme!r} is not one of {', '.join(f'{name}://' for name in SCHEMES)}")
    base, _, kind = scheme.partition("+")
    parts = urlsplit(f"//{rest}")
    login, at, hosts = parts.netloc.rpartition("@")
    given = dict(parse_qsl(parts.query))
    asking = {name: given.pop(key) for key, name in SENTINEL_PARAMETERS.items() if key in given}
    for name, value in CHECKS.items():
        if given.get(name, value).lower() != value:
            raise ConfigError(
                f"{name}={given[name]} gives up knowing which server answers: leave it out, and name your own "
                "authority with ssl_ca_certs"
            )
    parameters = f"?{urlencode(given)}" if given else ""
    default_port = SENTINEL_PORT if kind == "sentinel" else SERVER_PORT
    found = [_host(part, default_port) for part in hosts.split(",")] if kind else []
    if kind == "sentinel" and not parts.path.strip("/"):
        raise ConfigError("names no service: redis+sentinel://host:26379,host:26379/<the name Sentinel monitors>")
    if kind == "cluster" and parts.path.strip("/") not in ("", "0"):
        raise ConfigError(f"names database {parts.path.strip('/')}: a cluster has only database 0")
    return ServerUrl(base, kind, login + at, found, parts.path, parameters, asking)


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        host, port = None, 0
    if not host:
        raise ConfigError(f"{text!r} is not host or host:port")
    return host, port


def without_password(url: str) -> str:
    """For messages: the user's name and password are nobody's business, wherever in the address they are."""
    base, question, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    _, at, place = rest.rpartition("@")
    hidden = "***" if "password" in query else query
    return f"{scheme}://{'***@' if at else ''}{place}{question}{hidden}"
