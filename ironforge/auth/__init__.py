"""Who may do what: credentials become callers, and a caller is held to its namespace, scopes, queues and quotas.

It stands between the store and the doors: a door asks it who is calling, and it asks the store for what it keeps.
"""

from typing import Final

# The header of an answer to what was done, but could not be written down in the audit trail, and what it says.
AUDIT_HEADER: Final = "Ironforge-Audit"
AUDIT_FAILED: Final = "failed"
