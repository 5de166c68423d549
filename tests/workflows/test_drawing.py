"""Workflows as text on a terminal."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.workflows.graph import Graph
from ironforge.workflows.picture.drawing import draw
from ironforge.workflows.picture.folding import folds_of
from ironforge.workflows.picture.layout import layers_of, places_of
from ironforge.workflows.states import NodeState
from tests.support.waiting import PATIENCE_SECONDS
from tests.workflows.documents import checked, node
from tests.workflows.runs import graphs

LETTERS = dict(zip("pyrvxcs", NodeState, strict=True))


def drawn(graph: Graph, states: str = "", **how: Any) -> list[str]:
    lines = draw(graph, [LETTERS[letter] for letter in states or "p" * len(graph)], **how)
    return ["".join(span.text for span in line) for line in lines]


def many(count: int, *after: str, kind: str, prefix: str) -> list[dict[str, Any]]:
    return [{**node(f"{prefix}{number}", *after), "kind": kind} for number in range(count)]


SHOP = checked(
    node("download"),
    *(node(size, "download") for size in ("small", "medium", "large")),
    node("merge", "small", "medium", "large"),
    node("notify", "merge"),
)


def test_a_chain_goes_straight_down() -> None:
    assert drawn(checked(node("a"), node("b", "a"), node("c", "b")), "vrp") == [
        "✓  a  succeeded",
        "●  b  running",
        "○  c  pending",
    ]


def test_a_diamond() -> None:
    graph = checked(node("fetch"), node("left", "fetch"), node("right", "fetch"), node("merge", "left", "right"))
    assert drawn(graph, "vxrc") == [
        "✓    fetch  succeeded",
        "├─✗  left   failed",
        "● │  right  running",
        "⊘─╯  merge  cancelled",
    ]


def test_three_side_by_side_with_notes() -> None:
    assert drawn(SHOP, "vvrrpp") == [
        "✓      download  succeeded",
        "├─✓    small     succeeded",
        "├─│─●  medium    running",
        "● │ │  large     running",
        "○─┴─╯  merge     pending",
        "○      notify    pending",
    ]
    assert drawn(SHOP, "vvrrpp", notes={1: "1.2 s", 2: "on n1"})[1:3] == [
        "├─✓    small     succeeded  1.2 s",
        "├─│─●  medium    running  on n1",
    ]


def test_without_utf8() -> None:
    assert drawn(SHOP, "vvrxcs", ascii_only=True) == [
        "v      download  succeeded",
        "+-v    small     succeeded",
        "+-|-*  medium    running",
        "x | |  large     failed",
        "/-+-'  merge     cancelled",
        "~      notify    skipped",
    ]


def test_a_narrow_terminal_cuts_what_is_behind_first() -> None:
    assert drawn(SHOP, "vvrrpp", width=20) == [
        "✓      download",
        "├─✓    small",
        "├─│─●  medium",
        "● │ │  large",
        "○─┴─╯  merge",
        "○      notify",
    ]
    assert drawn(checked(node("x" * 40)), width=24) == ["○  xxxxxxxx…  pending"]


def test_marks_have_the_colour_of_their_state() -> None:
    (line,) = draw(checked(node("a")), [NodeState.FAILED])
    assert [span.state for span in line if span.text in ("✗", "failed")] == [NodeState.FAILED, NodeState.FAILED]


def test_those_that_stand_alike_are_folded_where_there_is_no_room() -> None:
    graph = checked(
        node("fetch"),
        *many(100, "fetch", kind="resize", prefix="r"),
        *({**node(f"u{number}", f"r{number}"), "kind": "upload"} for number in range(100)),
        node("merge", *(f"u{number}" for number in range(100))),
    )
    states = "v" + "v" * 60 + "r" * 39 + "x" + "v" * 60 + "p" * 40 + "p"
    assert drawn(graph, states) == [
        "✓  fetch          succeeded",
        "✗  100 of resize  1 failed  39 running  60 succeeded",
        "○  100 of upload  40 pending  60 succeeded",
        "○  merge          pending",
    ]


def test_layers_are_folded_where_that_is_not_enough() -> None:
    graph = checked(node("0"), *({**node(str(n), str(n - 1)), "kind": "step"} for n in range(1, 100)))
    assert drawn(graph, most_lines=4) == [
        "○  25 nodes    25 pending",
        "○  25 of step  25 pending",
        "○  25 of step  25 pending",
        "○  25 of step  25 pending",
    ]


def test_lanes_that_leave_no_room_are_folded() -> None:
    graph = checked(*(node(f"n{n}", *(f"n{before}" for before in range(n))) for n in range(15)))
    assert max(map(len, drawn(graph, width=120))) > 29
    assert drawn(graph, width=24)[0] == "○          3 nodes  3 p…"


@pytest.mark.parametrize("shape", ["chain", "fan", "tangle"])
def test_ten_thousand_nodes_are_drawn_in_bounded_time(shape: str) -> None:
    before = {
        "chain": lambda n: range(n - 1, n),
        "fan": lambda _: range(1),
        "tangle": lambda n: {(n * factor) % n for factor in (3, 5)} | {n * n % 7 % n, n * 31 % n, n // 2},
    }[shape]
    nodes = [node("0")] + [node(str(n), *map(str, before(n))) for n in range(1, 10_000)]
    graph = checked(*nodes)
    started = time.process_time()
    lines = drawn(graph)
    assert len(places_of(graph)) == 10_000
    assert time.process_time() - started < PATIENCE_SECONDS
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80


def read_back(lines: list[str]) -> dict[str, set[str]]:
    """What a reader makes of a picture: whom each node waits for."""
    open_: dict[int, str] = {}
    found: dict[str, set[str]] = {}
    for line in lines:
        picture, label = line[: line.index("n")].rstrip(), line[line.index("n") :].split()[0]
        own = picture.index("○")
        left = [at for at in range(0, own, 2) if picture[at] in "├┼╰┴"]
        right = [at for at in range(own + 2, len(picture), 2) if picture[at] in "┤┼╯┴"]
        above = [own] if own in open_ and not left else []
        found[label] = {open_[at] for at in (*left, *above, *right)}
        # A lane that is not drawn any more, or ends in a corner, is over.
        shown = {at for at in range(0, len(picture), 2) if picture[at] in "│├┤┼"}
        open_ = {at: source for at, source in open_.items() if at in shown}
        open_[own] = label
    return found


@given(graphs(most=14))
def test_a_picture_tells_who_waits_for_whom(graph: Graph) -> None:
    lines = drawn(graph, width=200)
    nodes = graph.nodes
    assert read_back(lines) == {
        nodes[number].id: {nodes[need.node].id for need in needs} for number, needs in enumerate(graph.needs)
    }


@given(graphs(most=30), st.integers(20, 90), st.integers(3, 30), st.booleans(), st.data())
def test_any_picture_has_room(graph: Graph, width: int, most: int, ascii_only: bool, data: st.DataObject) -> None:
    states = data.draw(st.lists(st.sampled_from("pyrvxcs"), min_size=len(graph), max_size=len(graph)))
    notes = dict.fromkeys(range(len(graph)), "a note of some length")
    lines = drawn(graph, "".join(states), notes=notes, width=width, most_lines=most, ascii_only=ascii_only)
    assert max(map(len, lines)) <= width
    assert len(lines) <= most
    assert "".join(lines).isascii() or not ascii_only


@given(graphs(most=30), st.integers(1, 30))
def test_a_fold_holds_each_node_once_and_waits_for_earlier_ones(graph: Graph, most: int) -> None:
    folds = folds_of(graph, most)
    assert sorted(number for fold in folds for number in fold.members) == [*range(len(graph))]
    for place, fold in enumerate(folds):
        assert all(need < place for need in fold.needs)


@given(graphs(most=30))
def test_each_layer_is_behind_what_its_nodes_wait_for_and_around_the_middle(graph: Graph) -> None:
    places = places_of(graph)
    rows: dict[int, list[float]] = {}
    for number, place in enumerate(places):
        assert all(places[need.node].layer < place.layer for need in graph.needs[number])
        rows.setdefault(place.layer, []).append(place.row)
    assert sorted(rows) == [*range(len(rows))]
    for row in rows.values():
        assert sorted(row) == [place - (len(row) - 1) / 2 for place in range(len(row))]
    assert [place.layer for place in places] == layers_of(graph)


def test_edges_do_not_cross_where_they_need_not() -> None:
    graph = checked(node("a"), node("b"), node("c"), node("x", "c"), node("y", "b"), node("z", "a"))
    rows = [place.row for place in places_of(graph)]
    assert rows[:3] == rows[:2:-1]
