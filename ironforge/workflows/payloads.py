"""Objects of one word in a payload, and what stands there when the node starts.

`{"$result": "fetch.result.url"}` is what an earlier node has returned, whole or a part of it; `{"$item": "url"}` the
same of the item of a map, empty for all of it; `{"$literal": …}` what it holds, in which nothing is looked for. All
else stays byte for byte as it was submitted, and so do results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ironforge.formats.json_rules import SHOWN_CHARACTERS
from ironforge.formats.suggest import closest
from ironforge.job.checks import MAX_PAYLOAD_BYTES
from ironforge.workflows.definition import MAX_ITEMS, MAX_PAYLOADS_BYTES
from ironforge.workflows.errors import Unresolved, wrong

RESULT: Final = "$result"
ITEM: Final = "$item"
LITERAL: Final = "$literal"
_WORDS: Final = frozenset({RESULT, ITEM, LITERAL})
MAX_REFERENCE_CHARACTERS: Final = 1_000
# Behind the id of a node, which cannot have it in itself.
_OF: Final = ".result"
# What is written for it by mistake.
_BRACKETS: Final = re.compile(r"""\[["']?([^\]"']*)["']?\]""")
_RESULT: Final = re.compile(r"^results?(\.|$)")
_EXAMPLE: Final = "fetch.result or fetch.result.items.0.url"
_SPACE: Final = b" \t\r\n"

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode

# Of a word that has two letters in the wrong order, or one too many. What is less alike may be a name of somebody else.
_MISSPELT: Final = 0.8
_KNOWN: Final = f"known are {RESULT}, {ITEM} and {LITERAL}"
_LEAVE_IT: Final = f'write {{"{LITERAL}": …}} around the object if it is to be left as it is'

# Takes a word, what it is given, and its place; returns what stands there instead.
_Replace = Callable[[str, bytes, str], bytes]
# Takes the members of an object, and its place. Raises InvalidJob.
_Check = Callable[[Mapping[str, msgspec.Raw], str], None]


class Reference(NamedTuple):
    """A part of what a node returned: names of members, and numbers of elements from 0."""

    node: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.node + _OF, *self.path))


def parse_reference(text: str, place: str) -> Reference:
    """Raises InvalidJob, which names the place."""
    if len(text) > MAX_REFERENCE_CHARACTERS:
        raise wrong(place, f"it has {len(text)} characters", f"give at most {MAX_REFERENCE_CHARACTERS}")
    node, of, rest = text.partition(_OF)
    path = tuple(rest[1:].split(".")) if rest else ()
    if not (node and of) or (rest and rest[0] != "."):
        first, _, more = _BRACKETS.sub(r".\1", text).removesuffix(".").partition(".")
        more = _RESULT.sub("", more)
        meant = f"did you mean {first}.result{more and '.' + more}?" if first else f"such as {_EXAMPLE}"
        raise wrong(place, f"{text[:SHOWN_CHARACTERS]!r} does not name the result of a node", meant)
    if not all(path):
        raise wrong(place, f"{text[:SHOWN_CHARACTERS]!r} has an empty step", f"write it as in {_EXAMPLE}")
    return Reference(node, path)


def check_path(text: str, place: str) -> None:
    """That its steps are written as `items.0`, for as `items[0]` no part is found. Of a reference, or of a path into an
    item; documents that were stored before may have others. Raises InvalidJob."""
    if _BRACKETS.search(text):
        meant = _BRACKETS.sub(r".\1", text).lstrip(".")[:SHOWN_CHARACTERS]
        raise wrong(place, f"{text[:SHOWN_CHARACTERS]!r} has a part in brackets", f"did you mean {meant}?")


class Words(NamedTuple):
    """What a payload refers to, each with its place. `items`: the places of items of a map."""

    results: list[tuple[str, Reference]]
    items: list[str]


def words_in(payload: bytes, *, strict: bool = False) -> Words:
    """Raises InvalidJob for a word that is not used as it has to be; with `strict`, of a payload as it is submitted,
    also for what is likely to be meant as one, and is none."""
    found = Words([], [])
    if not _has_words(payload):
        return found

    def note(word: str, given: bytes, place: str) -> bytes:
        if word == LITERAL:
            return b"null"
        text = _text_of(word, given, place)
        if word == RESULT:
            found.results.append((place, parse_reference(text, place)))
        else:
            _path_of(text, place)
            found.items.append(place)
        if strict:
            check_path(text, place)
        return b"null"

    _replaced(payload, "payload", note, _check_members if strict else None)
    return found


def resolved(
    payload: bytes, results: Mapping[str, bytes | None], item: bytes | None = None, *, most: int = MAX_PAYLOAD_BYTES
) -> bytes:
    """The payload for its handler, of so many bytes at most. `results`: of the nodes that it refers to, as JSON; None:
    the node did not succeed, and whatever of it is null. `item`: of a map. Raises Unresolved."""
    parts = _Parts(results, item)
    left = most

    def fill(word: str, given: bytes, place: str) -> bytes:
        nonlocal left
        found = given if word == LITERAL else parts.of(word, _text(given), place)
        left -= len(found)
        if left < 0:
            raise _too_large(place, most)
        return found

    filled = _replaced(payload, "payload", fill)
    if len(filled) > most:
        raise _too_large("payload", most)
    return filled


def with_results(payload: bytes, results: Mapping[str, bytes | None]) -> bytes:
    """The payload of a map with results in it, for `resolved` to put each item in: what it takes to look those up is
    done once. Raises Unresolved."""
    parts = _Parts(results, None)

    def fill(word: str, given: bytes, place: str) -> bytes:
        if word == ITEM:
            return b'{"%s":%s}' % (ITEM.encode(), given)
        return b'{"%s":%s}' % (LITERAL.encode(), given if word == LITERAL else parts.of(word, _text(given), place))

    filled = _replaced(payload, "payload", fill)
    if len(filled) > MAX_PAYLOADS_BYTES:
        raise _too_large("payload", MAX_PAYLOADS_BYTES)
    return filled


def items_of(over: str, results: Mapping[str, bytes | None]) -> list[bytes]:
    """The items of a map, as JSON. Raises Unresolved when there is no list, or one that is too long."""
    place = "map.over"
    found = _Parts(results, None).of(RESULT, over, place)
    if found[:1] != b"[":
        raise Unresolved(place, f"{over} is {_kind_of(found)}, and no list")
    items = _elements(found)
    if len(items) > MAX_ITEMS:
        raise Unresolved(place, f"{over} has {len(items)} items, at most {MAX_ITEMS} are allowed: map over parts of it")
    return [bytes(item) for item in items]


class _Parts:
    """Looks into results and an item. What was taken apart once is remembered: a payload may refer to ten thousand
    elements of one list."""

    def __init__(self, results: Mapping[str, bytes | None], item: bytes | None) -> None:
        self._results = results
        self._item = item
        self._known: dict[tuple[str, ...], dict[str, msgspec.Raw] | list[msgspec.Raw]] = {}

    def of(self, word: str, given: str, place: str) -> bytes:
        if word == ITEM:
            if self._item is None:
                raise Unresolved(place, "there is no item: the node is no map")
            return self._at(("", "the item"), self._item.strip(_SPACE), _path_of(given, place), place)
        node, path = parse_reference(given, place)
        if node not in self._results:
            raise Unresolved(place, f"there is no result of {node}")
        whole = self._results[node]
        return b"null" if whole is None else self._at((node, node + _OF), whole.strip(_SPACE), path, place)

    def _at(self, source: tuple[str, str], value: bytes, path: Sequence[str], place: str) -> bytes:
        _, name = source
        for depth, step in enumerate(path):
            way = (*source, *path[:depth])
            parts = self._known.get(way)
            if parts is None:
                if value[:1] not in (b"{", b"["):
                    raise Unresolved(place, f"{name} is {_kind_of(value)}, and has no {step!r}")
                parts = self._known[way] = _members(value) if value[:1] == b"{" else _elements(value)
            value = bytes(_part(parts, step, name, place))
            name = f"{name}.{step}"
        return value


def _part(parts: dict[str, msgspec.Raw] | list[msgspec.Raw], step: str, name: str, place: str) -> msgspec.Raw:
    if isinstance(parts, list):
        if step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(parts):
            return parts[int(step)]
        raise Unresolved(place, f"{name} is a list of {len(parts)}, and has no element {step!r}")
    if step in parts:
        return parts[step]
    close = closest(step, parts)
    names = ", ".join([*parts][:5]) + ("…" if len(parts) > 5 else "")
    hint = f"did you mean {close!r}?" if close else f"it has {names or 'nothing'}"
    raise Unresolved(place, f"{name} has no {step!r}: {hint}")


def _has_words(text: bytes) -> bool:
    """Whether there may be some."""
    return b"$" in text or b"\\u0024" in text  # a dollar may be written as an escape


def _replaced(text: bytes, place: str, replace: _Replace, check: _Check | None = None) -> bytes:
    """`text` with what each word in it stands for. `check`: of each object without one."""
    if not _has_words(text):
        return text
    text = text.strip(_SPACE)
    if text[:1] == b"[":
        parts = [
            msgspec.Raw(_replaced(bytes(part), f"{place}[{n}]", replace, check))
            for n, part in enumerate(_elements(text))
        ]
        return _encode(parts)
    if text[:1] != b"{":
        return text
    members = _members(text)
    words = _WORDS & members.keys()
    if not words:
        if check is not None:
            check(members, place)
        return _encode(
            {
                name: msgspec.Raw(_replaced(bytes(part), f"{place}.{name[:SHOWN_CHARACTERS]}", replace, check))
                for name, part in members.items()
            }
        )
    word = min(words)
    if len(members) > 1:
        other = next(name for name in members if name != word)
        raise wrong(place, f"{other[:SHOWN_CHARACTERS]!r} stands beside {word}, which stands alone", _LEAVE_IT)
    return replace(word, bytes(members[word]), place)


def _check_members(members: Mapping[str, msgspec.Raw], place: str) -> None:
    """A name that is much like a word, or an object that has the form of one, is a word misspelt."""
    for name, value in members.items():
        if name[:1] != "$":
            continue
        close = closest(name, _WORDS, alike=_MISSPELT)
        if close or (len(members) == 1 and bytes(value)[:1] == b'"'):
            meant = f"did you mean {close}? Else {_LEAVE_IT}" if close else f"{_KNOWN}; {_LEAVE_IT}"
            raise wrong(place, f"there is no word {name[:SHOWN_CHARACTERS]}", meant)


def _text_of(word: str, given: bytes, place: str) -> str:
    if given[:1] != b'"':
        raise wrong(place, f"{word} is given {_kind_of(given)}", f"give a text such as {_EXAMPLE}")
    return _text(given)


def _path_of(text: str, place: str) -> tuple[str, ...]:
    """Into an item: empty for all of it."""
    path = tuple(text.split(".")) if text else ()
    if not all(path) or len(text) > MAX_REFERENCE_CHARACTERS:
        raise wrong(place, f"{text[:SHOWN_CHARACTERS]!r} is no path into an item", "write it as in owner.name or 0.url")
    return path


def _kind_of(value: bytes) -> str:
    return {b"{": "an object", b"[": "a list", b'"': "a text", b"t": "true", b"f": "false", b"n": "null"}.get(
        value[:1], "a number"
    )


def _too_large(place: str, most: int) -> Unresolved:
    why = f"with it the payload has more than {most} bytes, the most: refer to a part of the result"
    return Unresolved(place, why)
