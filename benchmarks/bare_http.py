"""The bound for `http`: a bare aiohttp handler that reads the same JSON body and answers, and does nothing else."""

from __future__ import annotations

import sys

import msgspec
import uvloop
from aiohttp import web


async def accept(request: web.Request) -> web.Response:
    job = msgspec.json.decode(await request.read())
    body = msgspec.json.encode({"id": "01a20cb5-64a0-7717-88ee-385134209657", "status": "queued", "kind": job["kind"]})
    return web.Response(body=body, status=201, content_type="application/json")


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/jobs", accept)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=uvloop.new_event_loop())
