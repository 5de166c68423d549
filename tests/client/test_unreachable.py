"""Who does not answer the client as the API would is told by the cause, with what to do about it."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from ironforge.client.client import ApiUnreachable, AsyncClient


async def test_each_cause_of_no_answer_has_words_and_a_remedy_of_its_own() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes | None, held: asyncio.Event
    ) -> None:
        if said is None:
            await held.wait()
        else:
            await reader.read(10)
            writer.write(said)
        writer.close()

    async def refused(scheme: str, said: bytes | None, tls: ssl.SSLContext | None = None) -> str:
        held = asyncio.Event()
        server = await asyncio.start_server(lambda *both: answer(*both, said, held), "127.0.0.1", 0, ssl=tls)
        url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        async with server, AsyncClient(url, retries=0, timeout_seconds=0.5 if said is None else 10) as client:
            with pytest.raises(ApiUnreachable) as caught:
                await client.stats()
            held.set()
        return str(caught.value)

    assert "vouches for its certificate" in await refused("https", b"", context)
    assert "where the port speaks no TLS, write http://" in await refused("https", b"HTTP/1.1 400 Bad\r\n\r\n")
    assert "where the port speaks TLS, write https://" in await refused("http", b"")
    assert "what answers there is no HTTP" in await refused("http", b"-ERR unknown command\r\n\r\n")
    assert "is it overloaded, or behind a firewall?" in await refused("http", None)
    async with AsyncClient("http://no.such.host.invalid", retries=0) as client:
        with pytest.raises(ApiUnreachable, match="the name of the host is not known"):
            await client.stats()
