"""No page of another site reaches the API through its visitor's browser: not by a form, not by a name of its own."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from ironforge.addresses.authority import is_loopback
from ironforge.api.problems import ApiProblem
from ironforge.api.web_pages import Site

ID = "0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"
JSON = {"Content-Type": "application/json"}
CHANGING = (
    ("POST", "/jobs"),
    ("POST", "/jobs/batch"),
    ("POST", f"/jobs/{ID}/retry"),
    ("POST", "/queues/default/pause"),
    ("POST", "/queues/default/resume"),
    ("DELETE", f"/jobs/{ID}"),
    ("PUT", "/jobs"),
    ("PATCH", f"/jobs/{ID}"),
    ("POST", "/no/such/path"),
)
READING = (("GET", "/jobs"), ("HEAD", "/livez"), ("GET", "/queues/stats"), ("GET", "/metrics"), ("OPTIONS", "/jobs"))
OWN_HOSTS = (
    "localhost",
    "LocalHost:3000",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:3000",
    "127.8.9.10:1",
    "[::1]",
    "[::1]:3000",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]:3000",
)
FOREIGN_HOSTS = (
    "rebind.evil.example:3000",
    "evil.example",
    "evil.example.",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil-localhost",
    "app.localhost",
    "0.0.0.0:3000",
    "10.0.0.1",
    "[::]",
    "[::2]",
    "[::ffff:10.0.0.1]",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "127.0.0.01",
)
NO_HOSTS = (
    "",
    "user@localhost",
    "localhost:port",
    "localhost:123456",
    "localhost:",
    "localhost:80:80",
    "::1",
    "[::1",
    "local host",
    "localhost/",
    "localhost,evil.example",
    "löcalhost",
)
FOREIGN_ORIGINS = (
    "https://evil.example",
    "http://evil.example",
    "null",
    "",
    "http://localhost:{other}",
    "http://127.0.0.1",
    "https://127.0.0.1:{port}",
    "http://localhost:{port}",
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1:{port}@evil.example",
    "ftp://127.0.0.1:{port}",
    "127.0.0.1:{port}",
    "chrome-extension://abcdef",
)


def spelled(origin: str, api: Any) -> str:
    return origin.format(port=api.port, other=api.port + 1)


@pytest.mark.parametrize("host", OWN_HOSTS)
async def test_names_of_this_machine_are_answered_to(api: Any, host: str) -> None:
    assert (await api.call("GET", "/jobs", headers={"Host": host})).status == 200
    assert (await api.call("POST", "/jobs", json={"kind": "a"}, headers={"Host": host})).status == 201


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_other_names_are_refused_on_every_call(api: Any, host: str) -> None:
    for method, path in (*READING, *CHANGING, ("GET", "/openapi.json"), ("GET", "/livez")):
        answer = await api.call(method, path, headers={"Host": host, **JSON})

        assert answer.status == 403, (method, path)
        if method != "HEAD":
            assert answer.code == "host_not_allowed"
            assert "set IRONFORGE_AUTH=on" in answer.body["detail"]


@pytest.mark.parametrize("host", NO_HOSTS)
async def test_what_is_no_host_is_a_bad_request(api: Any, host: str) -> None:
    head = f"GET /jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    answer = await api.send_raw(head)

    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("request_line", "hosts", "status"),
    [
        ("GET /livez HTTP/1.1", "", 400),
        ("GET /livez HTTP/1.0", "", 400),
        ("GET /livez HTTP/1.0", "Host: localhost\r\n", 200),
        ("GET /livez HTTP/1.1", "Host: localhost\r\nHost: evil.example\r\n", 400),
        ("GET /livez HTTP/1.1", "Host: evil.example\r\nHost: localhost\r\n", 400),
        ("GET /livez HTTP/1.1", "Host: localhost\r\nHost: localhost\r\n", 400),
        ("GET http://localhost:80/livez HTTP/1.1", "Host: localhost:80\r\n", 200),
        ("GET http://evil.example/livez HTTP/1.1", "Host: localhost\r\n", 400),
        ("GET http://localhost/livez HTTP/1.1", "Host: evil.example\r\n", 403),
        ("GET http://evil.example/livez HTTP/1.1", "Host: evil.example\r\n", 403),
        ("GET http://localhost@evil.example/livez HTTP/1.1", "Host: localhost\r\n", 400),
        ("GET //evil.example/livez HTTP/1.1", "Host: localhost\r\n", 404),
        ("OPTIONS * HTTP/1.1", "Host: localhost\r\n", 404),
        ("CONNECT evil.example:80 HTTP/1.1", "Host: localhost\r\n", 404),
    ],
)
async def test_there_is_one_host_in_whatever_form(api: Any, request_line: str, hosts: str, status: int) -> None:
    answer = await api.send_raw(f"{request_line}\r\n{hosts}Connection: close\r\n\r\n".encode())

    assert answer.split()[1].decode() == str(status)


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_page_of_another_site_is_refused_on_every_call(api: Any, origin: str) -> None:
    for method, path in (*READING, *CHANGING):
        for body in ({}, {"data": b"{}", "headers": JSON}):
            headers = {"Origin": spelled(origin, api), **body.get("headers", {})}
            answer = await api.call(method, path, **{**body, "headers": headers})

            assert answer.status == 403, (method, path)
            assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
            if method != "HEAD":
                assert answer.code == "cross_site_request"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "", "same-origin, cross-site"])
async def test_what_a_browser_says_of_another_site_is_refused_where_it_changes_something(api: Any, site: str) -> None:
    for method, path in CHANGING:
        assert (await api.call(method, path, headers={"Sec-Fetch-Site": site})).status == 403
    assert (await api.call("GET", "/jobs", headers={"Sec-Fetch-Site": site})).status == 200, "a link to a list"


async def test_a_page_of_this_site_may_call(api: Any) -> None:
    own = {"Origin": f"http://127.0.0.1:{api.port}", "Sec-Fetch-Site": "same-origin"}
    typed = {"Sec-Fetch-Site": "none"}

    assert (await api.call("POST", "/jobs", json={"kind": "a"}, headers=own)).status == 201
    assert (await api.call("POST", "/jobs", json={"kind": "a"}, headers=typed)).status == 201


async def test_two_origins_are_foreign(api: Any) -> None:
    own = f"http://127.0.0.1:{api.port}"
    headers = CIMultiDict([("Origin", own), ("Origin", own)])

    assert (await api.call("POST", "/queues/default/pause", headers=headers)).status == 403


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        *itertools.product(
            (
                "application/x-www-form-urlencoded",
                "text/plain",
                "Text/Plain;charset=UTF-8",
                "multipart/form-data; boundary=a",
            ),
            (b"", b"a=b", b"{}"),
        ),
        *itertools.product(("text/json", "application/octet-stream", ""), (b"{}", b" ")),
    ],
)
async def test_forms_and_texts_are_refused_by_every_call_that_changes_something(
    api: Any, media_type: str, body: bytes
) -> None:
    for method, path in (call for call in CHANGING if call[0] in ("POST", "DELETE") and "/no/" not in call[1]):
        answer = await api.call(method, path, data=body, headers={"Content-Type": media_type})

        assert answer.status == 415, (method, path)
        assert answer.code == "unsupported_media_type", (method, path)


async def test_a_call_without_a_body_needs_no_media_type(api: Any) -> None:
    for path in ("/queues/default/pause", "/queues/default/resume"):
        assert (await api.call("POST", path, skip_auto_headers=["Content-Type"])).status == 200
        assert (await api.call("POST", path)).status == 200, "aiohttp calls nothing application/octet-stream"
        assert (await api.call("POST", path, data=b"{}", headers=JSON)).status == 200
        blob = await api.call("POST", path, data=b"{}", skip_auto_headers=["Content-Type"])
        assert blob.status == 415


async def test_no_answer_tells_a_version(api: Any) -> None:
    answers = [
        await api.send_raw(head + b"Connection: close\r\n\r\n")
        for head in (
            b"GET /livez HTTP/1.1\r\nHost: localhost\r\n",
            b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n",
            b"GET /livez HTTP/1.1\r\nHost: evil.example\r\n",
            b"PATCH /jobs HTTP/1.1\r\nHost: localhost\r\n",
            b"GARBAGE\r\n",
            b"GET /livez HTTP/9.9\r\nHost: localhost\r\n",
            b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n",
        )
    ]

    for answer in answers:
        assert [line for line in answer.split(b"\r\n") if line.startswith(b"Server")] == [b"Server: ironforge"]
        assert b"aiohttp" not in answer.partition(b"\r\n\r\n")[0]


hosts = st.sampled_from([*OWN_HOSTS, *FOREIGN_HOSTS, *NO_HOSTS]) | st.text(max_size=30)


@given(hosts, st.booleans(), st.booleans(), st.sampled_from(["127.0.0.1", "::1", "0.0.0.0", "10.0.0.1", "localhost"]))
def test_without_authentication_nothing_but_loopback_names_ever_gets_through(
    host: str, asks: bool, tls: bool, bound: str
) -> None:
    site = Site(asks_callers=asks)
    site.listens(bound, tls=tls)
    request: Any = SimpleNamespace(headers=CIMultiDict({"Host": host}), raw_path="/", method="POST")
    for _ in range(2):  # the second time it may be remembered
        try:
            site.check(request)
            passed = True
        except ApiProblem:
            passed = False
        if passed and not asks and is_loopback(bound):
            name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
            assert is_loopback(name.strip("[]"))
        assert passed or host not in OWN_HOSTS


@given(st.lists(st.text(max_size=5), max_size=200, unique=True))
def test_few_hosts_are_remembered(names: list[str]) -> None:
    site = Site(asks_callers=True)
    for name, port in itertools.product(names, ("", ":1")):
        request: Any = SimpleNamespace(headers=CIMultiDict({"Host": name + port}), raw_path="/", method="GET")
        try:
            site.check(request)
        except ApiProblem:
            continue
    assert len(site._good_hosts) <= 64
