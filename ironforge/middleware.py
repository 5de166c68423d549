"""The types of middleware, for applications to import."""

from ironforge.handlers.middleware import CallNext, Middleware

__all__ = ["CallNext", "Middleware"]
