"""Composes the HTTP API of its operations.

It knows the store only by its protocols, and takes everything else that the process has to offer as a
callable.
"""

from __future__ import annotations

from functools import partial

from aiohttp import web

import ironforge.api.operations  # noqa: F401 - registers them
from ironforge.api.authentication import AuthenticationMiddleware
from ironforge.api.middleware import Handler, OnAnswered, guarded_application
from ironforge.api.parsing.cursors import Cursors
from ironforge.api.parsing.large_bodies import LARGE_BODIES, LargeBodies
from ironforge.api.routes import operations
from ironforge.api.scope import Doors, Exposition, OnSubmitted, Readiness, Services, open_scope
from ironforge.settings import Settings
from ironforge.store.kind_catalog import KindCatalog


def create_app(
    settings: Settings,
    doors: Doors,
    *,
    readiness: Readiness | None = None,
    exposition: Exposition | None = None,
    on_submitted: OnSubmitted | None = None,
    on_answered: OnAnswered | None = None,
    authentication: AuthenticationMiddleware | None = None,
) -> web.Application:
    """The application, ready for `serve`.

    `readiness` says what keeps this process from taking requests, `exposition` gives body and Content-Type of
    /metrics, `on_submitted` hears kind, priority and number of newly accepted jobs, `on_answered` of every
    answer. With `authentication` each caller works with the services of its own namespace, and those given here
    serve only the operations that are public.
    """
    auth = authentication is not None
    services = Services(
        doors,
        KindCatalog(doors.inspector, settings),
        Cursors(settings),
        settings.durability,
        settings.retention_seconds,
        exposition,
        readiness,
        on_submitted,
        auth,
    )
    app = guarded_application(asks_callers=auth, on_answered=on_answered)
    app[LARGE_BODIES] = LargeBodies()
    _add_routes(app, services, authentication)
    if not auth:
        app.cleanup_ctx.append(lambda _app: services.rates.sampled(doors.inspector))
        app.cleanup_ctx.append(lambda _app: services.kinds.kept_fresh())
    return app


def _add_routes(app: web.Application, services: Services, authentication: AuthenticationMiddleware | None) -> None:
    for operation in operations(auth=authentication is not None):
        if authentication is None or operation.access == "public":
            handler: Handler = partial(operation.respond, scope=open_scope(services))
        else:
            handler = authentication.guarding(operation)
        # Otherwise GET /jobs/batch would look for a job of that name instead of saying 405, and an event whose name
        # has a slash would not be found instead of saying how that is written.
        path = operation.path.replace("{id}", "{id:(?!batch$)[^/]+}").replace("{event}", r"{event:[\s\S]+}")
        getattr(app.router, f"add_{operation.method}")(path, handler)
