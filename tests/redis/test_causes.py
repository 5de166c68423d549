"""What keeps us from the server is told by its cause, and with what to do: by real servers that refuse, and others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import redis
import trustme

from ironforge.errors import ConfigError, StoreError, StoreUnavailable
from ironforge.redis.causes import is_known, said
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.server_checks import verify
from tests.support.servers import redis_server

Urls = dict[str, str]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Urls]:
    """A server on a plain port and on one with TLS, one that asks for a password, and one that is half a cluster."""
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    plain, tls = free_port(), free_port()
    files = ("--tls-cert-file", f"{folder}/server.pem", "--tls-key-file", f"{folder}/server.pem")
    options = ("--tls-port", str(tls), "--tls-auth-clients", "no", "--tls-ca-cert-file", f"{folder}/ca.pem", *files)
    with ExitStack() as stack:
        stack.enter_context(redis_server("--port", str(plain), *options))
        guarded = stack.enter_context(redis_server("--port", "0"))
        cluster = stack.enter_context(redis_server("--port", str(free_port()), "--cluster-enabled", "yes"))
        with redis.Redis(unix_socket_path=str(guarded)) as client:
            client.acl_setuser("weak", enabled=True, passwords=["+hush"], commands=["+ping"], keys=["*"])
            client.config_set("requirepass", "hush")
        yield {
            "plain": f"127.0.0.1:{plain}",
            "tls": f"localhost:{tls}",
            "tls_ip": f"127.0.0.1:{tls}",
            "ca": f"{folder}/ca.pem",
            "guarded": str(guarded),
            "cluster": str(cluster),
            "folder": str(folder),
        }


CASES = {
    "unix://:hushed@{guarded}": "the server refused the login (",
    "unix://{guarded}": "the server asks for a password (Authentication required): put it into the address",
    "unix://weak:hush@{guarded}": "the server's user may not do this (",
    "redis://:hushed@{plain}": "the server knows no password (",
    "redis://{plain}/99": "the server has no such database (DB index is out of range): write /0",
    "unix://{cluster}?db=3": "a cluster has only database 0 (",
    "redis+cluster://{plain}": "the server is in no cluster (",
    "redis+sentinel://{plain}/forge": "a server answers there, no sentinel (",
    "redis+sentinel://127.0.0.1:1/forge": "no sentinel names a primary for this service (No master found for 'forge')",
    "redis+cluster://127.0.0.1:1": "nobody listens there (",
    "redis://127.0.0.1:1": "nobody listens there (",
    "redis://no.such.host.invalid": "the name of the host is not known (",
    "redis://127.255.255.255": "no way leads there (",
    "unix:///nowhere/valkey.sock": "a file of the address is not there (",
    "rediss://{tls}": "nobody whom this machine trusts has signed the server's certificate (",
    "rediss://{tls_ip}?ssl_ca_certs={ca}": "the server's certificate is for another name (",
    "rediss://{tls}?ssl_ca_certs={folder}/none.pem": "a file of the address is not there (",
    "rediss://{plain}": "nobody speaks TLS there (no TLS connection within 2 s): where the port speaks none, write redis://",
    "redis://{tls}": "the connection was closed (",
}


@pytest.mark.parametrize(("url", "what"), CASES.items(), ids=CASES)
async def test_the_check_at_the_start_says_the_cause_and_no_password(urls: Urls, url: str, what: str) -> None:
    with pytest.raises(ConfigError, match="cannot talk to the server: ") as refusal:
        await verify(Settings(redis_url=url.format(**urls)))
    assert what in str(refusal.value)
    assert "hushed" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("url", ["unix://:hushed@{guarded}", "redis://{plain}/99", "rediss://{tls}", "redis://{tls}"])
async def test_a_door_says_the_same(urls: Urls, url: str) -> None:
    store_client = StoreClient(Settings(redis_url=url.format(**urls)))
    try:
        with pytest.raises(StoreError) as refusal:
            await store_client.inspector.stats()
    finally:
        await store_client.close()
    assert CASES[url] in str(refusal.value)


@asynccontextmanager
async def somebody(answer: bytes | None) -> AsyncIterator[str]:
    """Somebody on a port who says this to everybody and hangs up; None: says nothing at all."""
    asked = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            writer.write(answer)
            writer.write_eof()
        await asked.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield "redis://{}:{}".format(*server.sockets[0].getsockname())
        asked.set()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (
            b"-DENIED Redis is running in protected mode because it is\r\n",
            "the server takes no callers from other machines (",
        ),
        (b"-ERR max number of clients reached\r\n", "the server has as many clients as it takes ("),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is no Redis or Valkey ("),
        (b"", "the connection was closed ("),
        (None, "the server is silent (no answer within 2 s): is it stopped, overloaded, or behind a firewall?"),
        (b"-MOVED 5640 127.0.0.1:7000\r\n", "another server of a cluster has these keys ("),
    ],
)
async def test_whoever_else_answers_is_told_by_what_it_says(answer: bytes, what: str) -> None:
    async with somebody(answer) as url:
        with pytest.raises((ConfigError, StoreUnavailable)) as refusal:
            await verify(Settings(redis_url=url))
    assert what in str(refusal.value)


@pytest.mark.parametrize("error", [redis.ResponseError("something else"), redis.ResponseError(), OSError()])
def test_an_unknown_cause_is_told_in_the_words_that_there_are(error: Exception) -> None:
    assert said(error) == (str(error) or type(error).__name__)
    assert not is_known(error)
