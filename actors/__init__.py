"""The machine: a node's supervised actors. Read README.md here first, then messages.py, then supervisor.py."""
