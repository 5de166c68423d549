"""What an application says of a kind: the options that it fixes for its jobs, and the schema of their payloads.

Nodes announce it, doors go by it. A newer version may fix options that this one does not know: they count as not given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from ironforge.errors import ConfigError, InvalidJob
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.limits import Limit
from ironforge.job.options import DOOR_OPTIONS, KindOptions, at_door

# Which versions of the application may go on with a job of the kind that one of them has begun.
VersionPolicy = Literal["any", "same"]
POLICIES: Final[tuple[VersionPolicy, ...]] = get_args(VersionPolicy)
# A schema that makes its definition larger is not announced.
MAX_DEFINITION_BYTES: Final = 32_768
# Kinds that one application may have.
MAX_KINDS: Final = 2_000
DIGEST_CHARACTERS: Final = 16

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class KindDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """`version`: the application's. `defaults`: the options that the kind fixes, as HTTP writes them. `schema`: JSON
    Schema of the payload; None: none is known. `version_policy`: one of `POLICIES`."""

    version: str = ""
    defaults: Mapping[str, Any] = {}
    schema: Mapping[str, Any] | None = None
    version_policy: str = "any"


class Announcement(NamedTuple):
    """A kind that a node runs, or a limit or schedule that its code defines. `definition`: the encoded KindDefinition,
    Limit or ScheduleInCode, `digest` tells it from others."""

    name: str
    digest: str
    definition: bytes

    @classmethod
    def of(
        cls,
        kind: str,
        version: str,
        options: KindOptions,
        schema: Mapping[str, Any] | None,
        policy: VersionPolicy = "any",
    ) -> Announcement:
        """Without the schema where that is too large."""
        given = {name: getattr(options, name) for name in KindOptions.__struct_fields__}
        defaults = {name: value for name, value in given.items() if value is not None}
        encoded = _encode(KindDefinition(version, defaults, schema, policy))
        if len(encoded) > MAX_DEFINITION_BYTES:
            encoded = _encode(KindDefinition(version, defaults, None, policy))
        return cls.made(kind, encoded)

    @classmethod
    def of_limit(cls, name: str, limit: Limit) -> Announcement:
        return cls.made(name, _encode(limit))

    @classmethod
    def made(cls, name: str, definition: bytes, told: bytes | None = None) -> Announcement:
        """`told`: what tells it from others, where that is not all of the definition."""
        digest = hashlib.sha256(definition if told is None else told).hexdigest()[:DIGEST_CHARACTERS]
        return cls(name, digest, definition)


def check_policy(kind: str, policy: object) -> None:
    """Raises ConfigError."""
    if policy not in POLICIES:
        raise ConfigError(f"@forge.job({kind!r}): version_policy {policy!r} is not one of {', '.join(POLICIES)}")


def decode_definition(encoded: bytes | str) -> KindDefinition:
    """An empty one for bytes that are none."""
    try:
        return msgspec.json.decode(encoded, type=KindDefinition)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return KindDefinition()


def same_version(announced: Iterable[Announcement]) -> dict[str, str]:
    """The version of the application by kind, of those of these kinds whose jobs stay with it."""
    definitions = ((each.name, decode_definition(each.definition)) for each in announced)
    return {name: found.version for name, found in definitions if found.version_policy == "same" and found.version}


def door_defaults(definition: KindDefinition) -> CheckedOptions:
    """What `JobOptions.checked` goes by for jobs of the kind. A default that is not valid here counts as not given."""
    known = {name: value for name, value in definition.defaults.items() if name in DOOR_OPTIONS}
    if (found := _at_door(known)) is None:
        found = _at_door({name: value for name, value in known.items() if _at_door({name: value}) is not None})
    assert found is not None
    return found


def _at_door(options: Mapping[str, Any]) -> CheckedOptions | None:
    """None: one of them is not valid."""
    try:
        return at_door(msgspec.convert(options, KindOptions))
    except (msgspec.ValidationError, InvalidJob):
        return None
