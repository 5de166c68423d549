"""Composes what an API with authentication needs beside its operations: the authenticator, and services for each
namespace."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from ironforge.api.authentication import AuthenticationMiddleware
from ironforge.api.parsing.cursors import Cursors
from ironforge.api.scope import TenantServices
from ironforge.api.tenants import TenantPool
from ironforge.auth.api_keys import ApiKeys
from ironforge.auth.audit import AuditTrail
from ironforge.auth.authenticator import Authenticator
from ironforge.auth.quota import NO_QUOTA
from ironforge.auth.quota_enforcer import QuotaEnforcer
from ironforge.auth.quota_store import QuotaStore
from ironforge.auth.tokens import Tokens
from ironforge.errors import ConfigError, StoreError
from ironforge.metrics.jobs import Metrics
from ironforge.metrics.tenants import NamespaceMetrics, TenantMetrics
from ironforge.settings import Settings, of_namespace
from ironforge.store import StoreClient
from ironforge.store.contract import Most
from ironforge.store.inspector.usage import RedisUsage
from ironforge.store.kind_catalog import KindCatalog
from ironforge.store.server_checks import check_shards


@contextlib.asynccontextmanager
async def authentication_of(
    settings: Settings, metrics: Metrics, counts: NamespaceMetrics, *, own: bool = True
) -> AsyncIterator[AuthenticationMiddleware | None]:
    """The authentication that `settings` ask for; None: there is none. Raises ConfigError.

    `metrics` are those of the process, and `own`: of `settings.namespace`, for they hold nothing of another one.
    `counts`: of all others.
    """
    if settings.auth == "off":
        yield None
        return
    tokens = Tokens.load(settings.jwt_issuers) if settings.jwt_issuers else None
    api_keys, quotas = ApiKeys(settings), QuotaStore(settings)

    def open_services(namespace: str) -> contextlib.AbstractAsyncContextManager[TenantServices]:
        inside = of_namespace(settings, namespace)
        counted = metrics if own and namespace == settings.namespace else TenantMetrics(counts, namespace)
        return _tenant_services(inside, counted, api_keys)

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(api_keys.close)
        stack.push_async_callback(quotas.close)
        if tokens is not None:
            stack.push_async_callback(tokens.close)
        tenants = TenantPool(open_services, quotas)
        stack.push_async_callback(tenants.close)
        yield AuthenticationMiddleware(Authenticator(api_keys, settings.key_pepper, tokens), tenants)


@contextlib.asynccontextmanager
async def _tenant_services(
    settings: Settings, metrics: Metrics | TenantMetrics, api_keys: ApiKeys
) -> AsyncIterator[TenantServices]:
    """Metrics too are those of the namespace: no caller sees another's kinds and queues."""
    try:
        await check_shards(settings)
    except ConfigError as error:
        raise StoreError(str(error)) from None
    async with contextlib.AsyncExitStack() as stack:
        store_client, usage, audit = StoreClient(settings), RedisUsage(settings), AuditTrail(settings)
        for close in (store_client.close, usage.close, audit.close):
            stack.push_async_callback(close)
        services = TenantServices(
            store_client,
            KindCatalog(store_client.inspector, settings),
            Cursors(settings),
            settings.durability,
            settings.retention_seconds,
            exposition=metrics.exposition,
            on_submitted=metrics.submitted,
            asks_callers=True,
            api_keys=api_keys,
            quotas=QuotaEnforcer(
                usage,
                NO_QUOTA,
                most=Most(settings.max_queues, settings.max_limit_keys),
                schedules=settings.max_schedules,
            ),
            audit=audit,
            on_audit_failed=metrics.audit_failed,
        )
        await stack.enter_async_context(services.rates.sampled(store_client.inspector))
        await stack.enter_async_context(services.kinds.kept_fresh())
        await stack.enter_async_context(store_client.keeping_time(metrics.ticks.of(settings.namespace)))
        yield services
