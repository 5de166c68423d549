"""The server, without any idea of jobs: connections, outages, scripts, and the table of all keys."""
