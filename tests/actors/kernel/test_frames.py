"""Frames: what goes in comes out, and hostile bytes can do nothing worse than BadFrame."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.actors.kernel import BadFrame, decode, encode, message


@message
class Parcel(NamedTuple):
    content: Any
    weight: int = 0


class Item(NamedTuple):
    name: str
    count: int


@message
class Order(NamedTuple):
    items: tuple[Item, ...]

    @classmethod
    def rebuild(cls, fields: tuple[Any, ...]) -> Order:
        (items,) = fields
        return cls(tuple(Item(*item) for item in items))


@message
class Heir(Parcel):
    """A subclass is a message of its own and inherits no hook."""


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.binary(), inner),
    max_leaves=20,
)


@given(content=plain, sender=st.none() | st.text(), ask=st.none() | st.integers(0, 2**63))
def test_a_frame_gives_back_what_was_put_in(content, sender, ask):
    frame = encode(Parcel(content, 3), sender, ask)
    assert decode(frame) == (Parcel(content, 3), sender, ask)
    assert type(decode(frame).message) is Parcel


def test_lists_and_nested_named_tuples_come_back_as_tuples():
    content = decode(encode(Parcel([Item("a", 1), [2]]))).message.content
    assert content == (("a", 1), (2,))
    assert type(content[0]) is tuple


def test_rebuild_restores_what_a_message_needs():
    order = Order((Item("a", 1), Item("b", 2)))
    rebuilt = decode(encode(order)).message
    assert rebuilt == order
    assert isinstance(rebuilt.items[0], Item)


def test_a_subclass_of_a_message_is_another_message():
    assert type(decode(encode(Heir(1))).message) is Heir


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_nothing_but_bad_frame(data):
    with suppress(BadFrame):
        decode(data)


@given(st.data())
def test_a_damaged_frame_raises_nothing_but_bad_frame(data):
    frame = bytearray(encode(Parcel(("some", b"content", {"k": 1.5})), "sender", 7))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadFrame):
        decode(bytes(frame))


@given(st.tuples(st.sampled_from(["Parcel", "Order", "Nobody", 7, None]), plain, plain, plain))
def test_well_formed_but_wrong_frames_raise_nothing_but_bad_frame(parts):
    with suppress(BadFrame):
        decode(msgpack.packb(parts))


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"", "not msgpack"),
        (b"\xc1", "not msgpack"),
        (b"\x91" * 5000, "not msgpack"),
        (msgpack.packb(("Parcel", (1, 2), None, None)) + b"\x00", "not msgpack"),
        (msgpack.packb(("Parcel", ({1: 2}, 2), None, None)), "not msgpack"),
        (msgpack.packb(7), "a frame is an array of"),
        (msgpack.packb((1, 2, 3)), "a frame is an array of"),
        (msgpack.packb((1, (), None, None)), "starts with a tag"),
        (msgpack.packb(("Parcel", {}, None, None)), "starts with a tag"),
        (msgpack.packb(("Parcel", (1, 2), 5, None)), "sender is text"),
        (msgpack.packb(("Parcel", (1, 2), None, "x")), "ask id a number"),
        (msgpack.packb(("Nobody", (), None, None)), "no message is named 'Nobody'"),
        (msgpack.packb(("Parcel", (1,), None, None)), "the fields of Parcel do not fit"),
        (msgpack.packb(("Order", (5,), None, None)), "the fields of Order do not fit"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(frame, text):
    with pytest.raises(BadFrame, match=text):
        decode(frame)


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize("content", [object(), {1, 2}, 2**64, "\ud800", _endless()])
def test_what_cannot_be_packed_is_refused(content):
    with pytest.raises(BadFrame, match="Parcel cannot be packed"):
        encode(Parcel(content))


def test_an_unregistered_class_is_refused():
    with pytest.raises(BadFrame, match="Item is not a registered message"):
        encode(Item("a", 1))


def test_a_tag_can_be_taken_only_once():
    with pytest.raises(TypeError, match="already a message named 'Parcel'"):

        @message
        class Parcel(NamedTuple):
            other: int


@pytest.mark.parametrize("cls", [int, tuple, type("Plain", (), {}), 5])
def test_only_named_tuples_can_be_messages(cls):
    with pytest.raises(TypeError, match="is no message"):
        message(cls)
