"""The option `limits` as callers write it, and what it says about a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ironforge.job.json_values import place_in_payload, text_at
from ironforge.job.limits import LimitUse, Units, asked_for, check_limit_key, check_limit_name, check_uses
from ironforge.job.mismatch import fitted


class Use(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a job uses of a limit: `units` of its rate, and one of the places of `key`; empty: it has one for all.

    Of a kind, `key` is a path into the payload, such as `customer.id`.
    """

    name: str
    key: str = ""
    units: Units = 1


def check_limits(field: str, given: object) -> tuple[LimitUse, ...]:
    """Raises InvalidJob with `code`, `field` and `hint`."""
    uses = check_uses([LimitUse(use.name, use.key, use.units) for use in fitted(field, given, list[Use])])
    for place, use in enumerate(uses):
        check_limit_name(use.name, f"{field}[{place}].name")
    return uses


def shown_limits(uses: Sequence[LimitUse]) -> list[Use]:
    return [Use(use.name, use.key, use.units) for use in asked_for(uses)]


def limits_in(payload: Any, uses: Sequence[LimitUse]) -> tuple[LimitUse, ...]:
    """Those of a kind, whose keys are paths into the decoded payload. Raises InvalidJob when there is no text."""
    found = []
    for use in uses:
        key = text_at(payload, use.key, f"key of limit {use.name}", "invalid_limit") if use.key else ""
        found.append(msgspec.structs.replace(use, key=check_limit_key(use.name, key, place_in_payload(use.key))))
    return tuple(found)
