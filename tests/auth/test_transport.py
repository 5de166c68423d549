"""On the wire: TLS in front, TLS behind, and what may be listened on."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from ironforge.client.client import Client
from ironforge.errors import ConfigError
from ironforge.runtime.tls import server_context
from ironforge.settings import Settings, load
from tests.cli.kit import Service, ironforge
from tests.support.servers import redis_server, valkey

PEPPER = "0123456789abcdef0123456789abcdef"

# --------------------------------------------------------------------------- TLS to the server


@pytest.fixture
def tls_server(certificates: Path) -> Iterator[Any]:
    @contextmanager
    def start(name: str) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        files = ("--tls-cert-file", f"{certificates / name}.pem", "--tls-key-file", f"{certificates / name}.key")
        options = ("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", *files)
        with redis_server(*options, "--tls-ca-cert-file", str(certificates / "ca.pem")):
            yield port

    return start


@pytest.mark.slow
def test_tls_to_the_server_checks_its_name(tls_server: Any, certificates: Path) -> None:
    with tls_server("localhost") as port:
        trusted = f"rediss://localhost:{port}/0?ssl_ca_certs={certificates / 'ca.pem'}"
        good = ironforge("doctor", "--json", redis_url=trusted)
        stranger = ironforge("doctor", "--json", redis_url=f"rediss://localhost:{port}/0")
        with Service("api", "--port", "0", redis_url=trusted) as api:
            url = json.loads(api.logged("api is listening"))["url"]
            with Client(url) as client:
                assert client.submit("demo.echo")["status"] == "queued"
    with tls_server("elsewhere") as port:
        other = ironforge(
            "doctor", "--json", redis_url=f"rediss://localhost:{port}/0?ssl_ca_certs={certificates / 'ca.pem'}"
        )

    assert good.returncode == 0, good.stdout
    assert stranger.returncode == 3
    assert other.returncode == 3
    assert "certificate verify failed" in stranger.stdout
    assert "mismatch" in other.stdout


@pytest.mark.parametrize(
    "query", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_check_hostname=0", "ssl_cert_reqs=optional"]
)
def test_an_address_that_gives_up_the_check_is_refused(query: str) -> None:
    with pytest.raises(ConfigError, match=query.split("=", maxsplit=1)[0]):
        load({"IRONFORGE_REDIS_URL": f"rediss://localhost:6379/0?{query}"})


# --------------------------------------------------------------------------- TLS of the API


async def test_the_api_speaks_tls(settings: Settings, build: Any, certificates: Path) -> None:
    files = {"tls_cert": str(certificates / "localhost.pem"), "tls_key": str(certificates / "localhost.key")}
    house = await build(settings, tls=server_context(msgspec.structs.replace(settings, **files)))
    house.url = house.url.replace("http://127.0.0.1", "https://localhost")
    key = await house.key()
    trusting = ssl.create_default_context(cafile=certificates / "ca.pem")

    assert (await house.call("GET", "/jobs", key, ssl=trusting)).status == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await house.call("GET", "/jobs", key)


@pytest.mark.slow
def test_the_command_line_talks_tls_to_a_public_api(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    files = {"tls_cert": str(certificates / "localhost.pem"), "tls_key": str(certificates / "localhost.key")}
    with valkey() as server:
        common = {"redis_url": server, "key_pepper": PEPPER}
        key = ironforge("keys", "create", "ops", "--scope", "jobs:submit,jobs:read", **common).stdout.strip()
        with Service("api", "--host", "0.0.0.0", "--port", "0", auth="on", **files, **common) as api:
            url = json.loads(api.logged("api is listening"))["url"].replace("0.0.0.0", "localhost")
            assert url.startswith("https://")
            done = ironforge("submit", "demo.echo", "--json", url=url, api_key=key)
            assert done.returncode == 0, done.stderr
            refused = ironforge("submit", "demo.echo", "--json", url=url)
            assert refused.returncode == 1
            assert "missing_credentials" in refused.stderr


@pytest.mark.parametrize(
    ("cert", "key", "says"),
    [
        ("localhost.pem", "elsewhere.key", "TLS_CERT"),
        ("nothing.pem", "localhost.key", "No such file"),
        ("localhost.key", "localhost.pem", "TLS_CERT"),
    ],
)
def test_files_that_do_not_fit_are_refused_before_anything_listens(
    certificates: Path, cert: str, key: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        server_context(Settings(tls_cert=str(certificates / cert), tls_key=str(certificates / key)))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"auth": "on"}, "IRONFORGE_KEY_PEPPER"),
        ({"auth": "on", "key_pepper": "short"}, "has 5 characters"),
        ({"auth": "maybe"}, "off, on"),
        ({"tls_cert": "x.pem"}, "belong together"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load({f"IRONFORGE_{name.upper()}": value for name, value in values.items()})
    assert "short" not in str(caught.value)


@pytest.mark.slow
def test_a_public_address_needs_authentication() -> None:
    with valkey() as server:
        done = ironforge("api", "--host", "0.0.0.0", "--port", "0", redis_url=server)

    assert done.returncode == 2
    for way in ("IRONFORGE_AUTH=on", "127.0.0.1", "--i-understand-no-auth"):
        assert way in done.stderr
