"""Settings: one frozen object, read from the environment and overridden by flags, checked before anything starts.

Durations are seconds and say so in their name. Adding a setting means adding a field and a line in `HELP`:
the command line, the README's table and the start-up check all read from here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from ironforge.addresses.server_url import parse, without_password
from ironforge.errors import ConfigError
from ironforge.formats.numbers import shown

PREFIX: Final = "IRONFORGE_"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")

MAX_SHARE: Final = 100
MIN_PEPPER: Final = 32

Auth = Literal["off", "on"]
Durability = Literal["local", "replicated", "relaxed"]
LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

HELP: Final[dict[str, str]] = {
    "redis_url": "Redis or Valkey: redis://, redis+sentinel://, redis+cluster://; none: `ironforge dev` brings its own",
    "namespace": "prefix that keeps several IronForge installations on one server apart",
    "namespaces": "those that a node serves, comma separated, with a share as in team-a:3; none: the one above",
    "shards": "parts that a namespace is spread over in a cluster; the same for all its processes, from the start on",
    "queues": "queues that a node serves, comma separated, the first one first within a priority",
    "concurrency": "jobs that one node process runs at the same time",
    "processes": "processes that `ironforge node` and `ironforge api` start and keep alive",
    "threads": "threads of a node process for synchronous handlers; 0: as many as concurrency",
    "cpu_processes": 'processes of a node process for handlers with executor="process"',
    "lease_seconds": "a node that has been silent for this long is dead, and its jobs run elsewhere",
    "drain_seconds": "after SIGTERM, how long running jobs may finish before they are handed back",
    "default_timeout_seconds": "time limit of one attempt, where neither the job nor its kind says otherwise",
    "default_max_retries": "retries after the first attempt, where neither the job nor its kind says otherwise",
    "starvation_seconds": "a job that waits longer gets a part of what a node takes, whatever its priority; 0: never",
    "crash_budget": "a job that so many nodes died with, the last one while it ran nothing else, is dead as poison",
    "retention_seconds": "how long completed and cancelled jobs can be looked up; per job: retain_seconds",
    "dead_retention_seconds": "how long the dead letter keeps a job",
    "idempotency_seconds": "how long an Idempotency-Key replays its first answer",
    "durability": "what an accepted job has survived: local (AOF, fsync always), replicated (WAIT), relaxed",
    "replicas": "replicas that must confirm a submission when durability is replicated",
    "auth": "on: every call needs an API key or a token, and its namespace comes from it; off: loopback only",
    "key_pepper": "secret that API keys and the audit trail are sealed with; 32 characters or more, environment only",
    "jwt_issuers": "TOML file of the issuers whose JSON Web Tokens are accepted; empty: API keys only",
    "max_queue_length": "jobs that may wait and run in one queue; to submit or revive more is refused; 0: no limit",
    "max_queues": "names of queues that a namespace may have in use at a time; its quota `queues` goes before",
    "max_memory_share": "share of the server's maxmemory beyond which no jobs are accepted, so that results fit",
    "http_host": "address that the HTTP API listens on",
    "http_port": "port that the HTTP API listens on",
    "http_connections": "connections that one API process holds at a time; callers beyond them get a 503",
    "node_http_port": "port for /livez, /readyz and /metrics of `ironforge node`; 0: none",
    "tls_cert": "PEM file with the certificate chain of the HTTP API; empty: plain HTTP",
    "tls_key": "PEM file with the private key of that certificate",
    "data_dir": "folder of the embedded server of `ironforge dev`, open to nobody else",
    "log_level": "debug, info, warning or error",
    "log_format": "json, console, or auto: console on a terminal, else json",
    "url": "where callers find the HTTP API; empty: on this machine, as http_host, http_port and tls_cert say",
    "api_key": "API key or token that the client and the command line send; environment only",
}


class Share(NamedTuple):
    """A namespace, and how many of its jobs a node takes for each one of a namespace with a share of 1."""

    namespace: str
    weight: int


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default. Build it with `load`, which checks values and relations."""

    redis_url: str = ""
    namespace: str = "default"
    namespaces: tuple[str, ...] = ()
    shards: int = 1
    queues: tuple[str, ...] = ("default",)
    concurrency: int = 64
    processes: int = 1
    threads: int = 0
    cpu_processes: int = 2
    lease_seconds: float = 15.0
    drain_seconds: float = 25.0
    default_timeout_seconds: float = 300.0
    default_max_retries: int = 3
    starvation_seconds: float = 0.0
    crash_budget: int = 3
    retention_seconds: float = 3600.0
    dead_retention_seconds: float = 30 * 86400.0
    idempotency_seconds: float = 86400.0
    durability: Durability = "relaxed"
    replicas: int = 1
    auth: Auth = "off"
    key_pepper: str = ""
    jwt_issuers: str = ""
    max_queue_length: int = 0
    max_queues: int = 1_000
    max_memory_share: float = 0.9
    http_host: str = "127.0.0.1"
    http_port: int = 3000
    http_connections: int = 10_000
    node_http_port: int = 3001
    tls_cert: str = ""
    tls_key: str = ""
    data_dir: str = ".ironforge"
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"
    url: str = ""
    api_key: str = ""

    def __repr__(self) -> str:
        """Without what is secret: a settings object is easily printed, and more easily logged."""
        told = {name: value for name, value in msgspec.structs.asdict(self).items() if value and name not in SECRETS}
        told["redis_url"] = without_password(self.redis_url) if self.redis_url else ""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in told.items())})"


# Inclusive bounds of the numeric settings.
BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "shards": (1, 64),
    "concurrency": (1, 10_000),
    "processes": (1, 256),
    "threads": (0, 10_000),
    "cpu_processes": (1, 256),
    "lease_seconds": (1, 3_600),
    "drain_seconds": (0, 86_400),
    "default_timeout_seconds": (0.001, 604_800),
    "default_max_retries": (0, 1_000),
    "starvation_seconds": (0, 604_800),
    "crash_budget": (1, 100),
    "retention_seconds": (0, 604_800),
    "dead_retention_seconds": (60, 31_536_000),
    "idempotency_seconds": (1, 604_800),
    "replicas": (1, 16),
    "max_queue_length": (0, 1_000_000_000),
    "max_queues": (1, 1_000_000),
    "max_memory_share": (0.8, 1),
    "http_port": (0, 65_535),
    "http_connections": (1, 1_000_000),
    "node_http_port": (0, 65_535),
}


LISTS: Final = ("namespaces", "queues")
SECRETS: Final = ("key_pepper", "api_key")

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "auth": get_args(Auth),
    "durability": get_args(Durability),
    "log_format": get_args(LogFormat),
    "log_level": get_args(LogLevel),
}


def words(text: str) -> tuple[str, ...]:
    """A comma separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def environment_name(field: str) -> str:
    return PREFIX + field.upper()


def load(environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
    """Settings from `environ` (default: the process's own), overridden by every flag that is not None.

    Raises ConfigError naming the setting, the value and what would be right.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for name in Settings.__struct_fields__:
        raw = environ.get(environment_name(name), "")
        if raw != "":
            values[name] = _from_text(name, raw)
    values.update({name: value for name, value in flags.items() if value is not None})
    for name, choices in CHOICES.items():
        if values.get(name, choices[0]) not in choices:
            raise ConfigError(f"{environment_name(name)}={values[name]!r} is not one of {', '.join(choices)}")
    try:
        return check(msgspec.convert(values, Settings))
    except msgspec.ValidationError as error:
        raise ConfigError(f"settings: {error}") from None


def environment_of(settings: Settings) -> dict[str, str]:
    """What tells a child process these settings: its command line would show the server's password to everybody.

    All of them: one that a flag put back to its default must not fall to what the environment said before.
    """
    told = msgspec.structs.asdict(settings).items()
    return {environment_name(name): ",".join(value) if name in LISTS else str(value) for name, value in told}


def _from_text(name: str, raw: str) -> object:
    if name in LISTS:
        return words(raw)
    if name not in BOUNDS:
        return raw
    try:
        number = float(raw)
        return int(raw) if isinstance(getattr(Settings(), name), int) else number
    except ValueError:
        raise ConfigError(f"{environment_name(name)}={raw!r} is not a number") from None


def table() -> str:
    """Every setting with its default and meaning, as the Markdown table that the README shows."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, default in msgspec.structs.asdict(Settings()).items():
        text = ",".join(default) if isinstance(default, tuple) else default
        text = shown(text) if isinstance(text, float) else text
        lines.append(f"| `{environment_name(name)}` | `{text}` | {HELP[name]} |".replace("``", "(none)"))
    return "\n".join(lines)


def check(settings: Settings) -> Settings:
    """Raises ConfigError when a value is out of range or two settings contradict each other."""
    for name, (low, high) in BOUNDS.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ConfigError(f"{environment_name(name)}={shown(value)} is out of range: {shown(low)} to {shown(high)}")
    _check_names(settings)
    _check_url(settings.redis_url)
    _check_security(settings)
    return settings


def _check_security(settings: Settings) -> None:
    pepper = environment_name("key_pepper")
    if settings.key_pepper and len(settings.key_pepper) < MIN_PEPPER:
        raise ConfigError(
            f"{pepper} has {len(settings.key_pepper)} characters, at least {MIN_PEPPER} are needed: "
            'make one with python -c "import secrets; print(secrets.token_hex(32))"'
        )
    if settings.auth == "on" and not settings.key_pepper:
        raise ConfigError(
            f"{environment_name('auth')}=on needs {pepper}, the same in every process: "
            'make one with python -c "import secrets; print(secrets.token_hex(32))"'
        )
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ConfigError(
            f"{environment_name('tls_cert')} and {environment_name('tls_key')} belong together: set both or neither"
        )


def _check_names(settings: Settings) -> None:
    if not settings.queues:
        raise ConfigError(f"{environment_name('queues')} names no queue: a node must serve at least one")
    for what, name in (("namespace", settings.namespace), *(("queues", queue) for queue in settings.queues)):
        if not NAME.match(name):
            raise ConfigError(
                f"{environment_name(what)}: {name!r} is not a name: 1 to 128 letters, digits, '.', '_' or '-', "
                "starting with a letter or a digit"
            )
    if len(set(settings.queues)) != len(settings.queues):
        raise ConfigError(f"{environment_name('queues')}={','.join(settings.queues)} names a queue twice")
    names = [share.namespace for share in shares_of(settings)]
    if len(set(names)) != len(names):
        raise ConfigError(f"{environment_name('namespaces')}={','.join(settings.namespaces)} names one twice")


def shares_of(settings: Settings) -> list[Share]:
    """The namespaces that a node serves. Raises ConfigError for one that is no `name` or `name:share`."""
    found = []
    for text in settings.namespaces or (settings.namespace,):
        name, colon, share = text.partition(":")
        right = not colon or (share.isascii() and share.isdigit() and 1 <= int(share[:4]) <= MAX_SHARE)
        if not NAME.match(name) or not right:
            raise ConfigError(
                f"{environment_name('namespaces')}: {text!r} is not a name, or a name with a share as in team-a:3, "
                f"from 1 to {MAX_SHARE}"
            )
        found.append(Share(name, int(share) if colon else 1))
    return found


def namespaces_of(settings: Settings) -> list[str]:
    """The namespace of each part that a node serves, in the order by which deliveries name the parts."""
    return [share.namespace for share in shares_of(settings) for _ in range(settings.shards)]


def _check_url(url: str) -> None:
    try:
        if url:
            parse(url)
    except ConfigError as error:
        raise ConfigError(f"{environment_name('redis_url')}: {error}") from None
