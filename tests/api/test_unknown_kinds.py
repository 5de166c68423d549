"""Jobs that come before a node has announced their kind: every door says that they go without what it fixes."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge import Forge
from ironforge.logs.unknown_kinds import MOST_TOLD, UnknownKinds
from ironforge.settings import Settings
from tests.api.conftest import Api
from tests.api.test_kind_defaults import NDJSON, client_batch, forge_here, forge_prepared

TOLD = "a job of a kind that is not known"
BATCH = [{"kind": kind} for kind in ("mail", "call", "mail")]
LINES = b'{"kind": "mail"}\n{"kind": "call"}\n{"kind": "mail"}'


async def build(payload: Any) -> None:
    """Nobody calls it."""


def told(caplog: pytest.LogCaptureFixture) -> int:
    return caplog.text.count(TOLD)


async def test_the_answer_to_a_job_names_its_kind(api: Api) -> None:
    answer = await api.call("POST", "/jobs", json={"kind": "mail"})
    assert answer.body["unknown_kinds"] == ["mail"]


@pytest.mark.parametrize("body", [{"json": BATCH}, {"json": {"jobs": BATCH}}, {"data": LINES, "headers": NDJSON}])
async def test_the_answer_to_a_batch_names_each_once(api: Api, body: dict[str, Any]) -> None:
    answer = await api.call("POST", "/jobs/batch", **body)
    assert answer.body["unknown_kinds"] == ["call", "mail"]


async def test_nothing_is_said_of_kinds_that_are_known(announce_kinds, start_api, settings: Settings) -> None:
    await announce_kinds("mail", "call")
    api = await start_api(settings)
    for path, body in (("/jobs", {"kind": "mail"}), ("/jobs/batch", BATCH)):
        answer = await api.call("POST", path, json=body)
        assert "unknown_kinds" not in answer.body


# The API is in this process as well.
@pytest.mark.parametrize(("door", "logs"), [(client_batch, 2), (forge_here, 1), (forge_prepared, 1)])
async def test_the_log_of_a_door_says_it(api: Api, caplog: pytest.LogCaptureFixture, door: Any, logs: int) -> None:
    await door(api, {"kind": "mail"})
    assert told(caplog) == logs
    assert caplog.text.count("'kind': 'mail'") == logs


@pytest.mark.parametrize("door", [client_batch, forge_here, forge_prepared], ids=lambda door: door.__name__)
async def test_it_says_nothing_of_kinds_that_are_known(
    announce_kinds, start_api, settings: Settings, caplog: pytest.LogCaptureFixture, door: Any
) -> None:
    await announce_kinds("mail")
    await door(await start_api(settings), {"kind": "mail"})
    assert told(caplog) == 0


async def test_an_application_goes_by_its_own_kinds_before_a_node_has_announced_them(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with Forge(settings) as forge:
        forge.job("report.build")(build)
        await forge.submit("report.build")
        await forge.submit_many(build, [forge.prepare("report.build")])
    assert told(caplog) == 0


async def test_a_door_says_it_once_of_each_kind_and_not_of_any_number(caplog: pytest.LogCaptureFixture) -> None:
    unknown = UnknownKinds()
    for _ in range(2):
        unknown.warn(str(number) for number in range(MOST_TOLD + 9))
    assert told(caplog) == MOST_TOLD
