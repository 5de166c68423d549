"""The calls of the Python client that are about limits."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Final, Generic, TypeVar, Unpack

import msgspec

from ironforge.client.transport import Json, Transport
from ironforge.job.limits import Limit, LimitKeywords, Rate, check_limit_name
from ironforge.job.options import in_words_of_json

# What a call gives back: the value itself, or a coroutine of it.
Answer = TypeVar("Answer")

JSON: Final = {"Content-Type": "application/json"}


class LimitCalls(Generic[Answer]):
    """Whatever way they are run."""

    _http: Transport

    def _answer(self, work: Coroutine[Any, Any, Json]) -> Answer:
        raise NotImplementedError

    def limits(self) -> Answer:
        """`{"limits": […]}`: all that are defined, each as `limit` shows it."""
        return self._answer(self._http.call("GET", "/limits"))

    def limit(self, name: str, *, key: str | None = None) -> Answer:
        """`{"name", "limit", "override", "effective", "key"}`; with `key` how that one stands: running, waiting,
        remaining, resets_at, holders. Raises LimitNotFound."""
        return self._answer(self._http.call("GET", _path(name), query={"key": key}))

    def put_limit(self, name: str, **given: Unpack[LimitKeywords]) -> Answer:
        """Define a limit, or define it anew; what an operator says instead stays."""
        body = msgspec.json.encode(Limit(**given))
        return self._answer(self._http.call("PUT", _path(name), body=body, headers=JSON))

    def override_limit(
        self,
        name: str,
        *,
        concurrency: int | None = None,
        rate: Rate | None = None,
        until: datetime | str | None = None,
        note: str = "",
    ) -> Answer:
        """Say what holds instead of the definition; neither concurrency nor rate: take that back. Raises
        LimitNotFound."""
        override = None if concurrency is None and rate is None else {"concurrency": concurrency, "rate": rate}
        body = msgspec.json.encode({"override": override, "until": in_words_of_json(until), "note": note})
        return self._answer(self._http.call("PATCH", _path(name), body=body, headers=JSON))

    def delete_limit(self, name: str) -> Answer:
        """`{"name", "deleted"}`: jobs that use it run as if they did not. Raises LimitNotFound."""
        return self._answer(self._http.call("DELETE", _path(name)))

    def resume_limit(self, name: str, *, key: str = "") -> Answer:
        """`{"name", "key", "released"}`: a key goes on that waits for dead jobs, or was stopped. Raises
        LimitNotFound."""
        return self._answer(self._http.call("POST", f"{_path(name)}/resume", query={"key": key}))


def _path(name: str) -> str:
    """Checked here, because what is no name could become another path."""
    return f"/limits/{check_limit_name(name)}"
