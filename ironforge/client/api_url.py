"""The address under which callers find the HTTP API of an installation."""

from __future__ import annotations

import ipaddress

from ironforge.addresses.web_url import checked, url_of
from ironforge.settings import Settings


def api_url(settings: Settings) -> str:
    """Where callers find the API: at `settings.url`, or else where an API with these settings listens here."""
    if settings.url:
        return checked("IRONFORGE_URL", settings.url)
    host = settings.http_host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if address.is_unspecified:  # it listens everywhere, so here as well
            host = "127.0.0.1" if address.version == 4 else "::1"
    return url_of(host, settings.http_port or Settings().http_port, tls=bool(settings.tls_cert))
