"""What is announced of a kind, and what a door makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ironforge.errors import ConfigError
from ironforge.handlers.announcements import announcements_of
from ironforge.handlers.forge import Forge
from ironforge.job.definition import (
    DIGEST_CHARACTERS,
    MAX_DEFINITION_BYTES,
    MAX_KINDS,
    Announcement,
    KindDefinition,
    decode_definition,
    door_defaults,
)
from ironforge.job.options import KindOptions
from ironforge.workflows.jobs import MAP_KIND


def announced(version: str = "1", schema: Any = None, **defaults: Any) -> Announcement:
    return Announcement.of("mail", version, KindOptions(**defaults), schema)


def test_options_that_the_kind_does_not_fix_are_not_announced():
    assert json.loads(announced(queue="mails", max_retries=0).definition) == {
        "version": "1",
        "defaults": {"queue": "mails", "max_retries": 0},
    }


def test_what_was_announced_is_read_again():
    definition = decode_definition(announced(schema={"type": "object"}, priority="high").definition)
    assert definition == KindDefinition("1", {"priority": "high"}, {"type": "object"})


def test_the_digest_tells_definitions_apart():
    digests = {announced(*change).digest for change in (("1",), ("2",), ("1", {"type": "object"}))}
    assert {len(digest) for digest in digests} == {DIGEST_CHARACTERS}
    assert len(digests) == 3
    assert announced(queue="a").digest == announced(queue="a").digest


def test_a_schema_that_is_too_large_is_left_out():
    fits = {"description": "x" * (MAX_DEFINITION_BYTES - 100)}
    too_large = {"description": "x" * MAX_DEFINITION_BYTES}
    assert decode_definition(announced(schema=fits, queue="a").definition).schema == fits
    assert decode_definition(announced(schema=too_large, queue="a").definition) == KindDefinition("1", {"queue": "a"})


@pytest.mark.parametrize("stored", [b"", b"\xff", b"[]", b'{"defaults":1}', b"[" * 100_000])
def test_what_is_no_definition_fixes_nothing(stored: bytes):
    assert decode_definition(stored) == KindDefinition()


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, "default:2"),
        ({"queue": "mails"}, "mails:2"),
        ({"queue": "mails", "priority": "high"}, "mails:1"),
        ({"queue": "not a name", "priority": "high"}, "default:1"),
        ({"queue": "mails", "priority": "urgent"}, "mails:2"),
        ({"queue": 7, "priority": []}, "default:2"),
        ({"queue": None, "of_a_newer_version": True, "delay_seconds": 5}, "default:2"),
    ],
)
def test_a_door_goes_by_the_defaults_that_it_knows_and_that_are_valid(defaults: dict[str, Any], expected: str):
    assert door_defaults(KindDefinition(defaults=defaults)).record.stream == expected


def test_what_the_node_asks_the_kind_for_is_not_the_doors():
    record = door_defaults(KindDefinition(defaults={"max_retries": 9, "retain_seconds": 5})).record
    assert (record.max_retries, record.retain_ms) == (None, None)


def test_an_application_announces_each_of_its_kinds():
    forge = Forge()
    forge.job("mail", queue="mails")(lambda: None)
    forge.job("call")(lambda: None)
    found = [(each.name, decode_definition(each.definition).defaults) for each in announcements_of(forge, "7")]
    assert found == [("mail", {"queue": "mails"}), ("call", {}), (MAP_KIND, {})]


def test_an_application_with_too_many_kinds_does_not_start():
    forge = Forge()
    for number in range(MAX_KINDS):
        forge.job(f"kind.{number}")(lambda: None)
    assert len(announcements_of(forge, "")) == MAX_KINDS + 1  # and that of every node
    forge.job("one.more")(lambda: None)
    with pytest.raises(ConfigError, match="2001 kinds, and a node announces 2000 at most"):
        announcements_of(forge, "")
