"""What /openapi.json promises is what the API does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from ironforge.api.openapi import document
from ironforge.api.routes import OPERATIONS
from ironforge.codes import Code
from tests.support.contract import CONTRACT_TIMEOUT_SECONDS, differences

OPERATION_IDS = (
    "submitJob submitBatch listJobs getJob cancelJob retryJob listDeadJobs getQueueStats pauseQueue resumeQueue "
    "listKinds getKind releaseKind listLimits getLimit putLimit overrideLimit deleteLimit resumeLimit listSchedules "
    "getSchedule applySchedules putSchedule deleteSchedule pauseSchedule resumeSchedule listNextTicks sendEvent "
    "getEvent submitWorkflow listWorkflows getWorkflow cancelWorkflow pauseWorkflow resumeWorkflow retryWorkflow "
    "forkWorkflow listPastTicks triggerSchedule backfillSchedule listNodes getHealth getLiveness getReadiness "
    "getMetrics getOpenApi getQuotas listKeys createKey revokeKey listAudit"
)


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(CONTRACT_TIMEOUT_SECONDS)
def test_schemathesis_finds_no_difference(api_in_thread: str, tmp_path: Path) -> None:
    """With valid and invalid data."""
    assert differences(api_in_thread, "--max-examples=12", cwd=tmp_path) == ""


async def test_the_document_is_served_as_generated(api: Any) -> None:
    answer = await api.call("GET", "/openapi.json")

    assert answer.status == 200
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
    assert answer.body == document()


def test_operation_ids_are_unique_and_stable() -> None:
    assert {operation.operation_id for operation in OPERATIONS} == {*OPERATION_IDS.split()}
    assert len({operation.operation_id for operation in OPERATIONS}) == len(OPERATIONS)


def test_each_type_in_the_document_has_a_name_of_its_own() -> None:
    """Of two types with one name msgspec would say the modules too, and generated clients would carry those."""
    named = document(auth=True)["components"]["schemas"]

    assert [name for name in named if not name.isidentifier()] == []


def test_every_reference_in_the_document_leads_somewhere() -> None:
    for whole in (document(), document(auth=True)):
        schemas = whole["components"]["schemas"]
        headers = whole["components"]["headers"]
        known = {f"#/components/schemas/{name}" for name in schemas}
        known |= {f"#/components/headers/{name}" for name in headers}

        assert set(references(whole)) <= known


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for child in node for found in references(child)]
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for child in node.values() for found in references(child)]
    return []


@pytest.mark.parametrize("auth", [False, True])
def test_no_field_has_a_default_that_generators_would_take_for_a_field_that_is_always_there(auth: bool) -> None:
    schemas = document(auth=auth)["components"]["schemas"]
    fields = {(name, field): how for name, one in schemas.items() for field, how in one.get("properties", {}).items()}
    assert [place for place, how in fields.items() if "default" in how] == []


def test_the_codes_are_those_that_can_be_raised() -> None:
    assert set(get_args(Code)) == set(document()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
