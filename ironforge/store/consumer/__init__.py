"""A node's side of the store: leases, reading, settling, requeuing."""
