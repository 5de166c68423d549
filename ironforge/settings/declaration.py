"""Every setting, each declared once: its type, default, meaning and bounds, and the commands that have a flag for it.

The environment, the flags of the command line, the table of the manual and the check at start are made from this.
Durations are seconds and say so in their name.
"""

from __future__ import annotations

import enum
from typing import Any, Final, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ironforge.addresses.server_url import without_password

PREFIX: Final = "IRONFORGE_"
T = TypeVar("T")

Auth = Literal["off", "on"]
Scheduler = Literal["on", "off"]
Durability = Literal["local", "replicated", "relaxed"]
LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]
UnknownKinds = Literal["accept", "refuse"]


class Command(enum.Flag):
    """Commands with the same flags. SERVER: those that ask the server itself. CLIENT: those that ask the API."""

    DEV = enum.auto()
    API = enum.auto()
    NODE = enum.auto()
    DOCTOR = enum.auto()
    VERIFY = enum.auto()
    SERVER = enum.auto()
    CLIENT = enum.auto()
    NONE = 0


API: Final = Command.API
NODE: Final = Command.NODE
DOCTOR: Final = Command.DOCTOR
VERIFY: Final = Command.VERIFY
SERVER: Final = Command.SERVER
APIS: Final = Command.DEV | API
NODES: Final = Command.DEV | NODE | DOCTOR
BOTH: Final = APIS | NODES


class Setting(NamedTuple):
    """`bounds`: the lowest and the highest value. `flag`: a second, shorter name. `only_api`: handlers must not find
    it in their environment. `secret`: it has no flag, and is not shown."""

    meaning: str
    commands: Command = Command.NONE
    bounds: tuple[float, float] | None = None
    flag: str = ""
    only_api: bool = False
    secret: bool = False


_declared: Final[list[Setting]] = []


def _setting(default: T, *meaning_and_commands: Any, **rest: Any) -> T:
    """A field of `Settings` with its declaration, which is filed in the order of the fields."""
    _declared.append(Setting(*meaning_and_commands, **rest))
    return default


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default. Build it with `load`, which checks values and relations."""

    redis_url: str = _setting(
        "",
        "Redis or Valkey: redis://, redis+sentinel://, redis+cluster://; none: `ironforge dev` brings its own",
        BOTH | VERIFY | SERVER,
    )
    namespace: str = _setting(
        "default", "prefix that keeps several IronForge installations on one server apart", BOTH | SERVER
    )
    namespaces: tuple[str, ...] = _setting(
        (), "those that a node serves, comma separated, with a share as in team-a:3; none: the one above", NODES
    )
    shards: int = _setting(
        1,
        "parts that a namespace is spread over in a cluster; the same for all its processes, from the start on",
        BOTH,
        bounds=(1, 64),
    )
    queues: tuple[str, ...] = _setting(
        ("default",), "queues that a node serves, comma separated, the first one first within a priority", NODES
    )
    concurrency: int = _setting(
        64, "jobs that one node process runs at the same time", NODES | VERIFY, bounds=(1, 10_000)
    )
    processes: int = _setting(
        1, "processes that `ironforge node` and `ironforge api` start and keep alive", API | NODE, bounds=(1, 256)
    )
    threads: int = _setting(
        0, "threads of a node process for synchronous handlers; 0: as many as concurrency", NODES, bounds=(0, 10_000)
    )
    cpu_processes: int = _setting(
        2, 'processes of a node process for handlers with executor="process"', NODES, bounds=(1, 256)
    )
    lease_seconds: float = _setting(
        15.0,
        "a node that has been silent for this long is dead, and its jobs run elsewhere",
        NODES | VERIFY,
        bounds=(1, 3_600),
    )
    drain_seconds: float = _setting(
        25.0, "after SIGTERM, how long running jobs may finish before they are requeued", NODES, bounds=(0, 86_400)
    )
    default_timeout_seconds: float = _setting(
        300.0,
        "time limit of one attempt, where neither the job nor its kind says otherwise",
        NODES,
        bounds=(0.001, 604_800),
    )
    default_max_retries: int = _setting(
        3,
        "retries after the first attempt, where neither the job nor its kind says otherwise",
        NODES,
        bounds=(0, 1_000),
    )
    starvation_seconds: float = _setting(
        0.0,
        "a job that waits longer gets a part of what a node takes, whatever its priority; 0: never",
        NODES,
        bounds=(0, 604_800),
    )
    crash_budget: int = _setting(
        3,
        "a job that so many nodes died with, the last one while it ran nothing else, is dead as poison",
        NODES,
        bounds=(1, 100),
    )
    retention_seconds: float = _setting(
        3600.0,
        "how long completed and cancelled jobs can be looked up; per job: retain_seconds",
        BOTH,
        bounds=(0, 604_800),
    )
    dead_retention_seconds: float = _setting(
        30 * 86400.0, "how long the dead letter keeps a job", NODES, bounds=(60, 31_536_000)
    )
    idempotency_seconds: float = _setting(
        86400.0, "how long an Idempotency-Key replays its first answer", APIS, bounds=(1, 604_800)
    )
    unserved_seconds: float = _setting(
        86400.0,
        "a declined job goes to the dead letter when no live node has served its kind for so long; 0: never",
        BOTH,
        bounds=(0, 31_536_000),
    )
    app_version: str = _setting("", "version of the application, which its nodes announce with their kinds", NODES)
    unknown_kinds: UnknownKinds = _setting(
        "accept", "refuse: no job of a kind that no node has announced within 30 days is accepted", APIS
    )
    durability: Durability = _setting(
        "relaxed", "what an accepted job has survived: local (AOF, fsync always), replicated (WAIT), relaxed", BOTH
    )
    replicas: int = _setting(
        1, "replicas that must confirm a submission when durability is replicated", BOTH, bounds=(1, 16)
    )
    auth: Auth = _setting(
        "off",
        "on: every call needs an API key or a token, and its namespace comes from it; off: loopback only",
        APIS,
        only_api=True,
    )
    key_pepper: str = _setting(
        "",
        "secret that API keys and the audit trail are sealed with; 32 characters or more, environment only",
        only_api=True,
        secret=True,
    )
    jwt_issuers: str = _setting(
        "", "TOML file of the issuers whose JSON Web Tokens are accepted; empty: API keys only", APIS, only_api=True
    )
    max_queue_length: int = _setting(
        0,
        "jobs that may wait and run in one queue; to submit or retry more is refused; 0: no limit",
        APIS,
        bounds=(0, 1_000_000_000),
    )
    max_queues: int = _setting(
        1_000,
        "names of queues that a namespace may have in use at a time; its quota `queues` goes before",
        APIS,
        bounds=(1, 1_000_000),
    )
    max_limit_keys: int = _setting(
        1_000_000,
        "keys of limits that jobs of a namespace may wait for and hold at a time; its quota `limit_keys` goes before",
        APIS,
        bounds=(1, 1_000_000_000),
    )
    max_limits: int = _setting(
        1_000,
        "limits that a namespace may define",
        APIS | NODE,
        bounds=(1, 1_000_000),
    )
    scheduler: Scheduler = _setting("on", "off: this process fires no ticks of schedules; others do", BOTH & ~DOCTOR)
    max_schedules: int = _setting(
        100_000,
        "schedules that a namespace may have, in each shard",
        APIS | NODE,
        bounds=(1, 10_000_000),
    )
    max_memory_share: float = _setting(
        0.9,
        "share of the server's maxmemory beyond which no jobs are accepted, so that results fit",
        APIS,
        bounds=(0.8, 1),
    )
    http_host: str = _setting("127.0.0.1", "address that the HTTP API listens on", APIS | NODE, flag="--host")
    http_port: int = _setting(3000, "port that the HTTP API listens on", APIS, bounds=(0, 65_535), flag="--port")
    http_connections: int = _setting(
        10_000,
        "connections that one API process holds at a time; callers beyond them get a 503",
        APIS,
        bounds=(1, 1_000_000),
    )
    node_http_port: int = _setting(
        3001, "port for /livez, /readyz and /metrics of `ironforge node`; 0: none", NODE, bounds=(0, 65_535)
    )
    tls_cert: str = _setting(
        "", "PEM file with the certificate chain of the HTTP API; empty: plain HTTP", APIS, only_api=True
    )
    tls_key: str = _setting("", "PEM file with the private key of that certificate", APIS, only_api=True)
    data_dir: str = _setting(
        ".ironforge",
        "folder of the embedded server of `ironforge dev`, open to nobody else",
        Command.DEV | DOCTOR | SERVER,
    )
    log_level: LogLevel = _setting("info", "debug, info, warning or error", BOTH | VERIFY)
    log_format: LogFormat = _setting("auto", "json, console, or auto: console on a terminal, else json", BOTH | VERIFY)
    url: str = _setting(
        "",
        "where callers find the HTTP API; empty: on this machine, as http_host, http_port and tls_cert say",
        Command.CLIENT,
    )
    api_key: str = _setting(
        "", "API key or token that the client and the command line send; environment only", secret=True
    )

    def __repr__(self) -> str:
        """Without what is secret: a settings object is easily printed, and more easily logged."""
        told = {name: value for name, value in msgspec.structs.asdict(self).items() if value}
        shown = {name: value for name, value in told.items() if not DECLARED[name].secret}
        shown["redis_url"] = without_password(self.redis_url) if self.redis_url else ""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


DECLARED: Final = dict(zip(Settings.__struct_fields__, _declared, strict=True))
TYPES: Final[dict[str, Any]] = get_type_hints(Settings)
DEFAULTS: Final = Settings()


def environment_name(field: str) -> str:
    return PREFIX + field.upper()


def is_list(name: str) -> bool:
    return get_origin(TYPES[name]) is tuple


def choices_of(name: str) -> tuple[str, ...]:
    """The values that a setting may have; empty: any of its type."""
    return get_args(TYPES[name]) if get_origin(TYPES[name]) is Literal else ()


def settings_of(command: Command) -> list[str]:
    """The settings that `command` has flags for."""
    return [name for name, setting in DECLARED.items() if command in setting.commands]
