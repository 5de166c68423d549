"""Applications to start from: `app` is what `ironforge dev` runs, the others are run with `python -m`."""
