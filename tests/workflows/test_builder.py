"""Workflows as Python writes them: the same documents."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ironforge.errors import InvalidJob, SerializationError
from ironforge.workflows import Flow, Literal, Workflow, chain, dag, group, item, map_over, node
from ironforge.workflows.decoding import encode_workflow
from ironforge.workflows.definition import MAX_NODES
from tests.support.waiting import PATIENCE_SECONDS


def nodes(workflow: Workflow) -> dict[str, Any]:
    document = msgspec.json.decode(encode_workflow(workflow))
    return {each.pop("id"): each for each in document["nodes"]}


def after(*parts: Flow) -> dict[str, Any]:
    return {name: each.get("after", []) for name, each in nodes(dag("test", *parts)).items()}


def test_a_chain() -> None:
    assert after(chain(node("a"), node("b"), node("c"))) == {"a": [], "b": ["a"], "c": ["b"]}


def test_a_group_in_a_chain() -> None:
    parts = group(node("small"), chain(node("large"), node("check")))
    assert after(chain(node("fetch"), parts, node("merge"))) == {
        "fetch": [],
        "small": ["fetch"],
        "large": ["fetch"],
        "check": ["large"],
        "merge": ["small", "check"],
    }


def test_a_whole_document() -> None:
    fetch = node("file.fetch", {"url": "http://x"}, id="fetch", max_retries=5)
    sizes = group(*(node("resize", {"of": fetch.result["path"], "width": w}, id=f"w{w}") for w in (1, 2)))
    merge = node("merge", [size.result for size in sizes.nodes], on_failure="continue", compensate="unmerge")
    tell = node("tell", after=[merge.failed], timeout_seconds=timedelta(minutes=1))
    made = dag("pictures", chain(fetch, sizes, merge), tell, on_success="done", on_failure="alarm", priority="high")
    document = msgspec.json.decode(encode_workflow(made))
    path, parts = {"$result": "fetch.result.path"}, [{"$result": "w1.result"}, {"$result": "w2.result"}]
    whole = {"name": "pictures", "on_success": "done", "on_failure": "alarm", "options": {"priority": "high"}}
    assert document.pop("nodes") == [
        {"id": "fetch", "kind": "file.fetch", "payload": {"url": "http://x"}, "options": {"max_retries": 5}},
        {"id": "w1", "kind": "resize", "payload": {"of": path, "width": 1}, "after": ["fetch"]},
        {"id": "w2", "kind": "resize", "payload": {"of": path, "width": 2}, "after": ["fetch"]},
        {
            "id": "merge",
            "kind": "merge",
            "payload": parts,
            "after": ["w1", "w2"],
            "on_failure": "continue",
            "compensate": "unmerge",
        },
        {
            "id": "tell",
            "kind": "tell",
            "payload": None,
            "options": {"timeout_seconds": 60.0},
            "after": [{"node": "merge", "when": "failed"}],
        },
    ]
    assert document == whole


def test_who_takes_a_result_waits_for_it() -> None:
    fetch = node("fetch")
    parse = node("parse", {"text": [fetch.result["items"][0]["text"]]})
    assert after(parse) == {"parse": ["fetch"], "fetch": []}
    # Once is enough.
    assert after(chain(fetch, parse, node("use", fetch.result))) == {"fetch": [], "parse": ["fetch"], "use": ["parse"]}


def test_a_condition_of_its_own_counts_where_a_chain_says_nothing_of_it() -> None:
    card = node("card", on_failure="continue")
    assert after(chain(card, node("invoice", {"of": card.result}, after=[card.failed]))) == {
        "card": [],
        "invoice": [{"node": "card", "when": "failed"}],
    }
    paid = node("ship", after=[card.succeeded])
    assert after(paid, node("log", after=[card.done]))["log"] == [{"node": "card", "when": "done"}]


def test_a_map_over_a_result() -> None:
    fetch = node("fetch")
    sized = map_over(fetch.result["items"], "resize", {"url": item["url"], "whole": item}, max_parallel=3)
    made = nodes(dag("test", sized, map_over(sized.result, "store", id="store", on_failure="continue")))
    assert made["resize"]["map"] == {"over": "fetch.result.items", "max_parallel": 3}
    assert made["resize"]["payload"] == {"url": {"$item": "url"}, "whole": {"$item": ""}}
    assert made["store"] == {
        "kind": "store",
        "payload": None,
        "after": ["resize"],
        "on_failure": "continue",
        "map": {"over": "resize.result"},
    }


def test_nodes_are_called_after_their_kind() -> None:
    assert [*after(group(node("a"), node("a"), node("b", id="a-2"), node("a")))] == ["a", "a-3", "a-2", "a-4"]


def test_a_literal_is_left_as_it_is() -> None:
    made = nodes(dag("test", node("a", {"x": Literal({"$result": "b"})})))
    assert made["a"]["payload"] == {"x": {"$literal": {"$result": "b"}}}


def test_what_is_wrong_is_told_as_over_http() -> None:
    first, second = node("a"), node("b")
    with pytest.raises(InvalidJob, match="these wait for each other"):
        dag("test", chain(first, second, first))
    with pytest.raises(InvalidJob, match=r"nodes\[0\].when: it waits for no node"):
        dag("test", node("a", when="all_done"))
    with pytest.raises(InvalidJob, match=r"nodes\[0\].options: max_retries -1 is out of range"):
        dag("test", node("a", max_retries=-1))
    with pytest.raises(InvalidJob, match="Invalid enum value 'all'"):
        dag("test", first, node("c", after=[first], when="all"))  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match=r"payload\.x cannot be sent as JSON"):
        dag("test", node("a", {"x": object()}))
    with pytest.raises(TypeError, match="a node takes no option 'max_retry': did you mean 'max_retries'"):
        node("a", max_retry=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="map_over has a job for each"):
        list(first.result)


@pytest.mark.parametrize("step", ["", "a.b", "items[0]", -1])
def test_a_part_that_a_document_has_no_name_for(step: str | int) -> None:
    with pytest.raises(ValueError, match="take the whole, and this part of it in the handler"):
        node("a").result[step]


def test_what_is_no_node_is_refused_where_it_is_given() -> None:
    fetch = node("fetch")
    with pytest.raises(TypeError, match=r"after takes nodes such as fetch, or conditions such as fetch\.failed"):
        node("use", after=[fetch.result])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="a chain takes nodes, chains and groups, not 'use'"):
        chain(fetch, "use")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"it takes nodes, chains and groups, not \['use'\]"):
        dag("test", ["use"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="map_over takes the result of a node"):
        map_over(item["x"], "use")


def test_as_many_as_may_be_are_put_together_in_bounded_time() -> None:
    started = time.process_time()
    made = dag("test", chain(*(node("step") for _ in range(MAX_NODES))))
    assert len(made.nodes) == MAX_NODES
    assert time.process_time() - started < PATIENCE_SECONDS
