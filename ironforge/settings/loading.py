"""Settings from the environment and from flags, checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import msgspec

from ironforge.addresses.server_url import parse
from ironforge.errors import ConfigError
from ironforge.formats.numbers import shown
from ironforge.settings.declaration import DECLARED, DEFAULTS, TYPES, Settings, choices_of, environment_name, is_list
from ironforge.settings.namespaces import NAME, NAME_RULE, shares_of

MIN_PEPPER: Final = 32
MAX_VERSION: Final = 64


def load(environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
    """Settings from `environ` (default: the process's own), overridden by every flag that is not None.

    Raises ConfigError naming the setting, the value and what would be right.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for name in DECLARED:
        if (raw := environ.get(environment_name(name), "")) != "":
            values[name] = _from_text(name, raw)
    for name, value in flags.items():
        if value is not None:
            values[name] = _from_text(name, value) if isinstance(value, str) and name in DECLARED else value
    try:
        return check(msgspec.convert(values, Settings))
    except msgspec.ValidationError as error:
        raise ConfigError(f"settings: {error}") from None


def environment_of(settings: Settings) -> dict[str, str]:
    """What tells a child process these settings: its command line would show the server's password to everybody.

    All of them: one that a flag put back to its default must not fall to what the environment said before.
    """
    told = msgspec.structs.asdict(settings).items()
    return {environment_name(name): ",".join(value) if is_list(name) else str(value) for name, value in told}


def _from_text(name: str, raw: str) -> object:
    if is_list(name):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if (choices := choices_of(name)) and raw not in choices:
        raise ConfigError(f"{environment_name(name)}={raw!r} is not one of {', '.join(choices)}")
    try:
        return TYPES[name](raw) if TYPES[name] in (int, float) else raw
    except ValueError:
        raise ConfigError(f"{environment_name(name)}={raw!r} is not a number") from None


def table() -> str:
    """Every setting with its default and meaning, as the Markdown table of the manual."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, default in msgspec.structs.asdict(DEFAULTS).items():
        text = ",".join(default) if isinstance(default, tuple) else default
        text = shown(text) if isinstance(text, float) else text
        lines.append(f"| `{environment_name(name)}` | `{text}` | {DECLARED[name].meaning} |".replace("``", "(none)"))
    return "\n".join(lines)


def check(settings: Settings) -> Settings:
    """Raises ConfigError when a value is out of range or two settings contradict each other."""
    for name, setting in DECLARED.items():
        low, high = setting.bounds or (0, 0)
        value = getattr(settings, name)
        if setting.bounds and not low <= value <= high:
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
            raise ConfigError(f"{environment_name(what)}: {name!r} is not a name: {NAME_RULE}")
    if len(settings.app_version) > MAX_VERSION or not settings.app_version.isprintable():
        raise ConfigError(
            f"{environment_name('app_version')}={settings.app_version[:100]!r} is no version: up to {MAX_VERSION} "
            "characters, and none that cannot be printed"
        )
    if len(set(settings.queues)) != len(settings.queues):
        raise ConfigError(f"{environment_name('queues')}={','.join(settings.queues)} names a queue twice")
    names = [share.namespace for share in shares_of(settings)]
    if len(set(names)) != len(names):
        raise ConfigError(f"{environment_name('namespaces')}={','.join(settings.namespaces)} names one twice")


def _check_url(url: str) -> None:
    try:
        if url:
            parse(url)
    except ConfigError as error:
        raise ConfigError(f"{environment_name('redis_url')}: {error}") from None
