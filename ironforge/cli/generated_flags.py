"""Settings as flags: a command names the settings that it uses, and gets them checked, as one object.

Flags are made from `Settings` and `HELP`, so a new setting is one name in the list of a command, and flags,
environment and README cannot drift apart.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, get_type_hints

import typer

from ironforge.process.handler_environment import start_without_pepper
from ironforge.settings import HELP, LISTS, Settings, environment_name, load, words

DEFAULT_REDIS_URL: Final = "redis://127.0.0.1:6379/0"
SHORTER: Final = {"http_host": ("--host",), "http_port": ("--port",)}

LOGGING: Final = ("log_level", "log_format")
STORE: Final = (
    "redis_url",
    "namespace",
    "shards",
    "durability",
    "replicas",
    "retention_seconds",
    "idempotency_seconds",
)
API: Final = (
    *(*STORE, "max_queue_length", "max_queues", "max_memory_share"),
    *("http_host", "http_port", "http_connections", "auth", "jwt_issuers", "tls_cert", "tls_key", *LOGGING),
)
API_PARENT: Final = (*API, "processes")
NODE: Final = (
    *("redis_url", "namespace", "namespaces", "shards", "queues", "concurrency", "threads", "cpu_processes"),
    *("lease_seconds", "drain_seconds", "default_timeout_seconds", "default_max_retries", "crash_budget"),
    *("durability", "replicas", "retention_seconds", "dead_retention_seconds", *LOGGING),
)
NODE_PARENT: Final = (*NODE, "processes", "http_host", "node_http_port")
DEV: Final = (*dict.fromkeys(("http_host", "http_port", "data_dir", *NODE, *API)),)

AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout, for programs")]

_DEFAULTS: Final = Settings()


def takes_settings(*names: str, without_api: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of these settings; its own parameter `settings` receives the checked result.

    `without_api`: those that only the API has a use for are neither read nor handed to child processes.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name != "settings"
        ]

        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            flags = {name: given.pop(name) for name in names}
            for name in LISTS:
                if flags.get(name) is not None:
                    flags[name] = words(flags[name])
            if without_api:
                start_without_pepper()
            return command(settings=load(**flags), **given)

        parameters = [*own, *(_flag(name) for name in names)]
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapper

    return decorate


def _flag(name: str) -> inspect.Parameter:
    default = getattr(_DEFAULTS, name)
    shown = ",".join(default) if isinstance(default, tuple) else f"{default:g}" if name in _SECONDS else default
    text = f"{HELP[name]} ({environment_name(name)}" + (f", default {shown})" if shown != "" else ")")
    option = typer.Option("--" + name.replace("_", "-"), *SHORTER.get(name, ()), help=text, show_default=False)
    kind = type(default) if isinstance(default, int | float) else str
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type] # a type made at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


_SECONDS: Final = frozenset(name for name in Settings.__struct_fields__ if name.endswith("_seconds"))
