"""A schedule out of JSON. What is wrong in a workflow of one is said with its place: `workflow.nodes[3].after[0]`."""

from __future__ import annotations

from typing import Final

import msgspec

from ironforge.errors import InvalidJob
from ironforge.job.mismatch import mismatch, within
from ironforge.schedules.definition import Schedule
from ironforge.workflows.decoding import decode_workflow

_decode: Final = msgspec.json.Decoder(Schedule).decode


class _Parts(msgspec.Struct):
    workflow: msgspec.Raw


_decode_parts: Final = msgspec.json.Decoder(_Parts).decode


def decode_schedule(text: bytes | msgspec.Raw) -> Schedule:
    """Of the right types, of valid JSON; whether its values are right says `check_schedule`. Raises InvalidJob with
    `code`, `field` and `hint`."""
    try:
        return _decode(text)
    except msgspec.ValidationError as error:
        wrong = mismatch(str(error), Schedule)
        if (wrong.field or "").startswith("workflow."):
            _decode_its_workflow(text)
        raise wrong from None


def _decode_its_workflow(text: bytes | msgspec.Raw) -> None:
    """msgspec tells no numbers of nodes."""
    try:
        decode_workflow(bytes(_decode_parts(text).workflow))
    except msgspec.ValidationError:
        return
    except InvalidJob as error:
        raise within("workflow", error) from None
