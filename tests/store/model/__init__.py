"""A plain model of the store: what doors and nodes do, and what follows for each job. Each file adds a capability."""
