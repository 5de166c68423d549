"""The command line. `flags` turns settings into options, `app` puts the commands together and ends with an exit code.

Modules that take long to import (aiohttp, redis, the actors) are imported inside the commands that need them:
`ironforge --help` must not wait for what it does not use.
"""
