"""`python -m ironforge` and the `ironforge` script."""

from __future__ import annotations

from ironforge.cli.app import main

if __name__ == "__main__":
    main()
