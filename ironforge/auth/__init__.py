"""Who may do what: credentials become callers, and a caller is held to its namespace, scopes, queues and quotas.

It stands between the store and the doors: a door asks it who is calling, and it asks the store for what it keeps.
"""
