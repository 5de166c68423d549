"""The calls of the HTTP API, as plain functions of a request."""
