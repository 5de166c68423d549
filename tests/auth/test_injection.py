"""Hostile text in every header and field that logs, answers and the audit trail repeat, against a real process."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironforge.auth.tokens import MAX_CHARACTERS
from tests.auth.test_tokens import ISSUER, token, trusting
from tests.cli.kit import Service, ironforge
from tests.support.servers import valkey
from tests.support.waiting import PATIENCE_SECONDS

PEPPER = "0123456789abcdef0123456789abcdef"
CORPUS = [
    "<script>alert(1)</script>",
    '"},{"level":"critical"',
    "%0d%0aSet-Cookie: a=b",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "../../etc/passwd",
    "'; DROP TABLE jobs; --",
    "\\r\\nX-Injected: 1",
    "a" * 4_000,
    "\x7f",
    "\u00fc",
]
BODIES = [*CORPUS, "a\r\nb", "a\0b", "\u202eb", "\x1b[31m"]
NAMES = [text for text in BODIES if text.isprintable() and len(text) <= MAX_CHARACTERS]


class Running:
    """`ironforge api` with authentication, its log, and how to talk to it."""

    def __init__(self, service: Service, key: str) -> None:
        self._service = service
        self.key = key
        url = json.loads(service.logged("api is listening"))["url"]
        self._address = url.removeprefix("http://")

    def call(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE_SECONDS)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        decoded = json.loads(answer.read())
        connection.close()
        return answer.status, dict(answer.getheaders()), decoded

    def as_owner(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
        return self.call(method, path, {"Authorization": f"Bearer {self.key}", **headers}, body)

    def logged(self, request_id: str) -> dict[str, Any]:
        """The first line of this request, once it is there; those before it are there too."""
        return json.loads(self._service.logged(f'"request_id": "{request_id}"'))

    def log(self) -> list[dict[str, Any]]:
        """Raises where a line is not one JSON object."""
        return [json.loads(line) for line in list(self._service.stderr)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("issuers")
    trusting(folder)
    with valkey() as url:
        made = ironforge(
            *("keys", "create", "owner", "--json", "--scope", "jobs:submit,jobs:cancel,jobs:read,keys:admin"),
            redis_url=url,
            namespace="home",
            key_pepper=PEPPER,
        )
        assert made.returncode == 0, made.stderr
        options = {"auth": "on", "key_pepper": PEPPER, "jwt_issuers": str(folder / "issuers.toml")}
        with Service("api", "--port", "0", redis_url=url, log_level="debug", **options) as service:
            yield Running(service, json.loads(made.stdout)["key"])


@pytest.mark.parametrize("text", CORPUS)
def test_a_hostile_credential_or_request_id_stays_inside_its_line(running: Running, text: str) -> None:
    before = len(running.log())
    for headers in (
        {"Authorization": text},
        {"Authorization": f"Bearer {text}"},
        {"Authorization": f"Bearer ifk_{text}"},
        {"X-Request-ID": text},
    ):
        status, answered, body = running.call("GET", "/jobs", headers)
        # A header with a control character is refused before anybody looks at it.
        assert status in (400, 401)
        assert text not in body["detail"]
        assert text not in answered["X-Request-ID"]
        assert not {"X-Injected", "Set-Cookie"} & set(answered)
    marker = uuid.uuid4().hex
    running.call("GET", "/jobs", {"Authorization": "Bearer x", "X-Request-ID": marker})
    assert running.logged(marker)["event"] == "token refused"
    for line in running.log()[before:]:
        assert text not in json.dumps(line), "a credential has no place in a log"


@pytest.mark.parametrize("text", BODIES)
def test_names_that_are_none_never_get_into_the_store(running: Running, text: str) -> None:
    for fields in ({"name": text}, {"queues": [text]}):
        status, _, body = running.as_owner("POST", "/keys", {"name": "n", "scopes": ["jobs:read"], **fields})
        assert status == 400
        assert body["code"] == "invalid_key_request"
        assert len(body["detail"]) < 1_000


@pytest.mark.parametrize("text", sorted(set(BODIES) - set(NAMES)))
def test_a_subject_that_no_issuer_gives_is_nobodys(running: Running, text: str) -> None:
    credential = token(sub=text, ironforge_namespace="home", scope="jobs:read")
    assert running.call("GET", "/jobs", {"Authorization": f"Bearer {credential}"})[0] == 401


@pytest.mark.parametrize("text", NAMES)
def test_a_hostile_subject_stays_text_in_the_trail_and_the_log(running: Running, text: str) -> None:
    _, _, accepted = running.as_owner("POST", "/jobs", {"kind": "demo.echo"})
    credential = token(sub=text, ironforge_namespace="home", scope="jobs:cancel keys:admin")
    headers = {"Authorization": f"Bearer {credential}", "X-Request-ID": accepted["id"]}
    assert running.call("DELETE", f"/jobs/{accepted['id']}", headers)[0] == 200
    newest = running.call("GET", "/audit?limit=1", headers)[2]["entries"][0]
    line = running.logged(accepted["id"])

    assert newest["who"] == f"jwt:{ISSUER}#{text[:100]}"
    assert newest["target"] == accepted["id"]
    assert line["event"] == "audit"
    assert line["who"] == newest["who"]
    assert line["namespace"] == "home"


def test_no_key_is_ever_logged(running: Running) -> None:
    running.as_owner("GET", "/jobs")
    made = running.as_owner("POST", "/keys", {"name": "n", "scopes": ["jobs:read"]})[2]
    running.call("GET", "/metrics", {"Authorization": f"Bearer {made['key']}"})
    running.call("GET", "/metrics", {"Authorization": f"Bearer {made['key']}x"})
    marker = uuid.uuid4().hex
    running.call("GET", "/jobs", {"Authorization": "Bearer x", "X-Request-ID": marker})
    running.logged(marker)
    log = json.dumps(running.log())

    assert made["id"] in log
    for secret in (PEPPER, running.key.split("_")[2], made["key"].split("_")[2]):
        assert secret not in log
