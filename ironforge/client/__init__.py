"""The HTTP client for Python."""
