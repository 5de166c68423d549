"""The processes: a node, the HTTP API, `ironforge dev`, and the parents that keep them alive."""
