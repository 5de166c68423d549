"""The TLS of the HTTP API: a server context from two files, checked before anything listens."""

from __future__ import annotations

import ssl

from ironforge.errors import ConfigError
from ironforge.settings import Settings, environment_name


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """None: plain HTTP. Raises ConfigError when the files cannot be used."""
    if not settings.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password: a key that has one is an error here, not a question on the terminal.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
        raise ConfigError(
            f"{environment_name('tls_cert')}={settings.tls_cert} with {environment_name('tls_key')}="
            f"{settings.tls_key} cannot be used ({reason}): a certificate chain and its key, both PEM, no password"
        ) from None
    return context
