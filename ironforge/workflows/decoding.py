"""A workflow out of JSON. What is wrong in a node is said with its place: `nodes[3].after[0]`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ironforge.errors import InvalidJob
from ironforge.job.mismatch import mismatch
from ironforge.job.request import in_order
from ironforge.workflows.definition import Edge, Node, NodeOptions, Workflow

_decode: Final = msgspec.json.Decoder(Workflow).decode
_node: Final = msgspec.json.Decoder(Node).decode
_nodes: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def decode_workflow(text: bytes) -> Workflow:
    """Of the right types; whether its values are right says `check_workflow`. Raises InvalidJob with `code`, `field`
    and `hint`."""
    try:
        return _decode(text)
    except msgspec.ValidationError as error:
        raise _in_a_node(text) or _beside_options(mismatch(str(error), Workflow), "") from None
    except msgspec.DecodeError as error:
        raise InvalidJob(f"the workflow is not valid JSON: {error}", code="invalid_json") from None


def encode_workflow(workflow: Workflow) -> bytes:
    """The document, as it is stored."""
    return _encode(workflow)


def content(workflow: Workflow) -> bytes:
    """What tells a repetition from another workflow under the same key: however its JSON was written, one that says the
    same has the same content."""
    nodes = tuple(
        msgspec.structs.replace(node, payload=msgspec.Raw(in_order(bytes(node.payload)))) for node in workflow.nodes
    )
    return _encode(msgspec.structs.replace(workflow, nodes=nodes))


def _in_a_node(text: bytes) -> InvalidJob | None:
    """msgspec tells the place within a list by no number, so its items are looked at one by one."""
    try:
        nodes = _list(_nodes(text)["nodes"])
    except (msgspec.ValidationError, KeyError):
        return None
    for number, node in enumerate(nodes):
        if wrong := _of(node, Node, f"nodes[{number}]"):
            return _in_after(node, f"nodes[{number}]") or _beside_options(wrong, f"nodes[{number}].")
    return None


def _beside_options(refused: InvalidJob, place: str) -> InvalidJob:
    """It says so of an option of a job that stands beside `options`."""
    name = (refused.field or "").removeprefix(place)
    if refused.code != "unknown_field" or name not in NodeOptions.__struct_fields__:
        return refused
    hint = f"it belongs into `options`, as in {place}options.{name}"
    return InvalidJob(f"{place}{name}: {hint}", code="unknown_field", field=refused.field, hint=hint)


def _in_after(node: msgspec.Raw, place: str) -> InvalidJob | None:
    try:
        edges = _list(_nodes(node)["after"])
    except (msgspec.ValidationError, KeyError):
        return None
    found = (_of(edge, str | Edge, f"{place}.after[{number}]") for number, edge in enumerate(edges))
    return next(filter(None, found), None)


def _of(text: msgspec.Raw, model: Any, place: str) -> InvalidJob | None:
    try:
        _node(text) if model is Node else msgspec.json.decode(text, type=model)
    except msgspec.ValidationError as error:
        return mismatch(str(error), model, place)
    return None
