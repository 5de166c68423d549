"""Logging: structlog in front of the standard library, one line for one event."""
