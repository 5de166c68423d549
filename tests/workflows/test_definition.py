"""What a workflow may say, and how one is refused that says something else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ironforge.errors import InvalidJob
from ironforge.workflows.decoding import decode_workflow, encode_workflow
from ironforge.workflows.definition import MAX_EDGES, MAX_ITEMS, MAX_NODES, NodeOptions
from tests.workflows.documents import checked, edge, node, refusal, result, workflow

FETCH = node("fetch")


def test_a_node_needs_an_id_and_a_kind_and_the_rest_has_defaults() -> None:
    (made,) = workflow({"id": "fetch", "kind": "file.fetch"}).nodes
    assert bytes(made.payload) == b"null"
    assert (made.after, made.when, made.on_failure) == ((), "all_succeeded", "fail")
    assert (made.options, made.map, made.compensate) == (None, None, None)


def test_payloads_stay_as_they_were_written() -> None:
    made = decode_workflow(b'{"name":"w","nodes":[{"id":"a","kind":"k","payload":{"b" :1.50}}]}')
    assert bytes(made.nodes[0].payload) == b'{"b" :1.50}'


def test_the_stored_form_is_read_back_as_it_was() -> None:
    made = workflow(
        node("a", on_failure="continue", compensate="undo.a", options={"priority": "high"}),
        node("b", "a", edge("c", "failed"), when="any_failed"),
        node("c", on_failure="skip_dependents", map={"over": "a.result", "max_parallel": 3}),
        on_success="done",
        options={"max_retries": 1},
    )
    assert encode_workflow(decode_workflow(encode_workflow(made))) == encode_workflow(made)


def test_nodes_may_stand_in_any_order() -> None:
    graph = checked(node("merge", "left", "right"), node("left", "fetch"), node("right", "fetch"), FETCH)
    assert [graph.nodes[number].id for number in graph.order] == ["fetch", "left", "right", "merge"]


def test_options_of_the_workflow_hold_where_a_node_says_nothing() -> None:
    made = workflow(
        node("a", options={"priority": "high", "fairness_key": "y"}),
        node("b"),
        options={"priority": "low", "max_retries": 1, "fairness_key": "x", "fairness_weight": 2},
    )
    first, second = map(made.options_of, made.nodes)
    assert first == NodeOptions(priority="high", max_retries=1, fairness_key="y")
    assert second == NodeOptions(priority="low", max_retries=1, fairness_key="x", fairness_weight=2)


@pytest.mark.parametrize(
    ("second", "field", "code", "hint"),
    [
        ({"id": "b"}, "nodes[1].kind", "missing_field", "known are id, kind, payload"),
        ({"id": "b", "kind": "k", "wen": 1}, "nodes[1].wen", "unknown_field", "did you mean `when`?"),
        ({"id": "b", "kind": "k", "queue": "q"}, "nodes[1].queue", "unknown_field", "as in nodes[1].options.queue"),
        ({"id": "b", "kind": "k", "when": "all"}, "nodes[1].when", "invalid_type", "one of all_succeeded, all_done"),
        ({"id": "b", "kind": "k", "on_failure": "stop"}, "nodes[1].on_failure", "invalid_type", "one of fail, con"),
        ({"id": "b", "kind": "k", "after": "a"}, "nodes[1].after", "invalid_type", "give an array"),
        ({"id": "b", "kind": "k", "after": ["a", 7]}, "nodes[1].after[1]", "invalid_type", "give text or an object"),
        (
            {"id": "b", "kind": "k", "after": [edge("a", "ok")]},
            "nodes[1].after[0].when",
            "invalid_type",
            "one of succeeded, done, failed",
        ),
        ({"id": "b", "kind": "k", "after": [{"nod": "a"}]}, "nodes[1].after[0].nod", "unknown_field", "`node`?"),
        ({"id": "b", "kind": "k", "map": {"over": 1}}, "nodes[1].map.over", "invalid_type", "give text"),
        (
            {"id": "b", "kind": "k", "options": {"max_retry": 1}},
            "nodes[1].options.max_retry",
            "unknown_field",
            "did you mean `max_retries`?",
        ),
        (7, "nodes[1]", "invalid_type", "give an object"),
    ],
)
def test_what_is_of_a_wrong_type_is_told_with_its_place(second: Any, field: str, code: str, hint: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        workflow(FETCH, second)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("text", "field", "code"),
    [
        (b"[]", None, "invalid_type"),
        (b'{"nodes":[]}', "name", "missing_field"),
        (b'{"name":"w"}', "nodes", "missing_field"),
        (b'{"name":"w","nodes":{}}', "nodes", "invalid_type"),
        (b'{"name":"w","nodes":[],"node":1}', "node", "unknown_field"),
        (b'{"name":"w","nodes":[],"priority":"low"}', "priority", "unknown_field"),
        (b'{"name":"w","nodes":[],"options":{"priorty":1}}', "options.priorty", "unknown_field"),
        (b'{"name":"w"', None, "invalid_json"),
    ],
)
def test_what_is_wrong_outside_of_nodes(text: bytes, field: str | None, code: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        decode_workflow(text)
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize(
    ("nodes", "field", "message"),
    [
        ([], "nodes", "there are 0: give 1 to 10000"),
        ([node(str(number)) for number in range(MAX_NODES + 1)], "nodes", "there are 10001"),
        ([FETCH, node("fetch")], "nodes[1].id", "nodes[0] is called 'fetch' as well: give it another name"),
        ([node("a b")], "nodes[0].id", "'a b' is not a name"),
        ([node("a.result.b")], "nodes[0].id", "has .result in it"),
        ([FETCH, node("b", "fetsh")], "nodes[1].after[0]", "there is no node 'fetsh': did you mean 'fetch'?"),
        ([FETCH, node("b", "zzz")], "nodes[1].after[0]", "there is no node 'zzz': the nodes are fetch, b"),
        ([FETCH, node("b", "fetch", edge("fetch", "done"))], "nodes[1].after[1]", "'fetch' stands in it twice"),
        ([node("a", "a")], "nodes[0].after", "these wait for each other: a -> a: leave one of these out"),
        ([FETCH, node("a", "c"), node("b", "a"), node("c", "b", "fetch")], "nodes[1].after", "a -> b -> c -> a"),
        ([{**FETCH, "kind": "a b"}], "nodes[0].kind", "kind 'a b' is not a name"),
        ([node("a", compensate="a b")], "nodes[0].compensate", "'a b' is not a name"),
        ([node("a", options={"max_retries": -1})], "nodes[0].options.max_retries", "-1 is out of range"),
        ([node("a", options={"delay_seconds": 1, "run_at": "x"})], "nodes[0].options.run_at", "exclude each other"),
        ([node("a", payload="x" * 1_048_576)], "nodes[0].payload", "at most 1048576 are allowed"),
        ([node(str(n), payload="x" * 1_048_000) for n in range(17)], "nodes", "their payloads have"),
    ],
)
def test_nodes_that_are_wrong_are_told_with_their_place(nodes: list[Any], field: str, message: str) -> None:
    refused = refusal(*nodes)
    assert refused.field == field
    assert message in str(refused)


def test_a_long_cycle_is_told_by_its_beginning_and_its_end() -> None:
    cycle = [node(str(number), str((number + 1) % 50)) for number in range(50)]
    assert "… 40 more …" in str(refusal(*cycle))


def test_edges_are_bounded_over_all_nodes() -> None:
    roots = [node(f"r{number}") for number in range(1_000)]
    names = [root["id"] for root in roots]
    few = [node(f"n{number}", *names) for number in range(MAX_EDGES // 1_000)]
    assert len(checked(*roots, *few)) == 1_100
    assert refusal(*roots, *few, node("last", "n1")).field == "nodes"


@pytest.mark.parametrize(
    ("more", "field", "message"),
    [
        ({"name": "a b"}, "name", "'a b' is not a name"),
        ({"on_success": "a b"}, "on_success", "'a b' is not a name"),
        ({"on_failure": ""}, "on_failure", "'' is not a name"),
        ({"options": {"max_retries": -1}}, "options.max_retries", "-1 is out of range"),
        ({"options": {"delay_seconds": 1}}, "options.delay_seconds", "give it to the nodes"),
        ({"options": {"run_at": "2030-01-01T00:00:00Z"}}, "options.run_at", "give it to the nodes"),
        ({"options": {"unique": {"key": "x"}}}, "options.unique", "give it to the nodes"),
    ],
)
def test_what_is_wrong_of_the_whole_workflow(more: dict[str, Any], field: str, message: str) -> None:
    refused = refusal(FETCH, **more)
    assert refused.field == field
    assert message in str(refused)


def test_a_map_takes_its_item_into_the_payload_or_as_the_payload() -> None:
    over = {"over": "fetch.result.items"}
    item = {"$item": ""}
    checked(FETCH, node("a", "fetch", map=over), node("b", "fetch", map=over, payload=[1, {"it": item}]))
    refused = refusal(FETCH, node("a", "fetch", map=over, payload={"size": 3}))
    assert refused.field == "nodes[1].payload"
    assert 'put {"$item": ""} where the item belongs' in str(refused)
    refused = refusal(FETCH, node("a", "fetch", payload={"x": [item]}))
    assert (refused.field, refused.hint) == ("nodes[1].payload.x[0]", "give the node a map")


@pytest.mark.parametrize("most", [0, MAX_ITEMS + 1])
def test_a_map_has_at_least_one_job_at_once(most: int) -> None:
    refused = refusal(FETCH, node("a", "fetch", map={"over": "fetch.result", "max_parallel": most}))
    assert refused.field == "nodes[1].map.max_parallel"


def test_jobs_of_a_map_cannot_have_one_unique_key() -> None:
    mapped = node("a", "fetch", map={"over": "fetch.result"}, options={"unique": {"key": "x"}})
    assert refusal(FETCH, mapped).field == "nodes[1].options.unique"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fetch", "did you mean fetch.result?"),
        ("fetch.url", "did you mean fetch.result.url?"),
        ("fetch.results", "does not name the result of a node: did you mean fetch.result?"),
        ("fetch.result[0]", "did you mean fetch.result.0?"),
        ("fetch.result['url'][0].x", "did you mean fetch.result.url.0.x?"),
        ("fetch[0]", "did you mean fetch.result.0?"),
        ("fetch.result.items[0]", "has a part in brackets: did you mean fetch.result.items.0?"),
        ("fetch.result.items['a'].b[1]", "did you mean fetch.result.items.a.b.1?"),
        (".result.x", "such as fetch.result"),
        ("fetch.result..x", "has an empty step"),
        ("fetch.result.", "has an empty step"),
        ("fetsh.result", "there is no node 'fetsh': did you mean 'fetch'?"),
        ("other.result", "'other' need not have ended when 'use' starts: add 'other' to after"),
        ("use.result", "'use' is the node itself"),
        ("late.result", "'late' need not have ended"),
        ("fetch.result." + "x" * 1_000, "give at most 1000"),
    ],
)
def test_a_reference_names_a_node_that_has_ended(text: str, message: str) -> None:
    nodes = [FETCH, node("other"), node("mid", "fetch"), node("use", "mid", payload={"of": [result(text)]})]
    refused = refusal(*nodes, node("late", "use"))
    assert refused.field == "nodes[3].payload.of[0]"
    assert message in str(refused)


@pytest.mark.parametrize(
    ("payload", "field", "message"),
    [
        ({"$result": 5}, "nodes[1].payload", "$result is given a number: give a text such as fetch.result"),
        ({"a": {"$result": "fetch.result", "b": 1}}, "nodes[1].payload.a", "'b' stands beside $result"),
        ({"a": {"$literal": 1, "b": 1}}, "nodes[1].payload.a", "'b' stands beside $literal"),
    ],
)
def test_words_stand_alone(payload: Any, field: str, message: str) -> None:
    refused = refusal(FETCH, node("use", "fetch", payload=payload))
    assert refused.field == field
    assert message in str(refused)


@pytest.mark.parametrize(
    ("payload", "field", "message"),
    [
        ([{"$resutl": "fetch.result"}], "nodes[1].payload[0]", "there is no word $resutl: did you mean $result?"),
        ({"a": {"$results": "fetch.result", "b": 1}}, "nodes[1].payload.a", "did you mean $result?"),
        ({"a": {"$itme": 5}}, "nodes[1].payload.a", "did you mean $item?"),
        ({"$ref": "fetch.result"}, "nodes[1].payload", "known are $result, $item and $literal"),
        ({"$ref": "fetch.result"}, "nodes[1].payload", 'write {"$literal": …} around the object'),
    ],
)
def test_a_misspelt_word_is_refused(payload: Any, field: str, message: str) -> None:
    refused = refusal(FETCH, node("use", "fetch", payload=payload))
    assert refused.field == field
    assert message in str(refused)


@pytest.mark.parametrize(
    "payload",
    [
        {"$literal": {"$resutl": "fetch.result"}},
        {"$set": {"url": {"$result": "fetch.result.url"}}},
        {"$list": [1]},
        {"$id": "x", "title": "y"},
        {"a": "$resutl"},
    ],
)
def test_names_that_begin_with_a_dollar_are_no_words(payload: Any) -> None:
    checked(FETCH, node("use", "fetch", payload=payload))


@pytest.mark.parametrize("over", ["fetch.result[0]", "fetch.result.items[0]"])
def test_what_a_map_is_over_has_no_brackets(over: str) -> None:
    refused = refusal(FETCH, node("use", "fetch", map={"over": over}))
    assert refused.field == "nodes[1].map.over"
    assert "did you mean fetch.result." in str(refused)


def test_a_path_into_an_item_has_no_brackets() -> None:
    payload = {"first": {"$item": "tags[0]"}}
    refused = refusal(FETCH, node("use", "fetch", map={"over": "fetch.result"}, payload=payload))
    assert refused.field == "nodes[1].payload.first"
    assert "did you mean tags.0?" in str(refused)


def test_what_is_literal_refers_to_nothing() -> None:
    checked(node("a", payload={"$literal": {"$result": "nothing", "x": 1}}), node("b", payload={"$set": {"c": 1}}))


def test_a_map_over_no_reference() -> None:
    refused = refusal(FETCH, node("a", "fetch", map={"over": "fetch.items"}))
    assert (refused.field, refused.hint) == ("nodes[1].map.over", "did you mean fetch.result.items?")


def test_a_workflow_as_large_as_may_be_is_checked_in_bounded_time() -> None:
    nodes = [node("0")]
    nodes += [node(str(n), *map(str, range(max(0, n - 9), n)), payload=result("0.result")) for n in range(1, MAX_NODES)]
    text = msgspec.json.encode({"name": "w", "nodes": nodes})
    assert len(checked(*nodes)) == MAX_NODES
    assert len(text) < 16 * 1_048_576
