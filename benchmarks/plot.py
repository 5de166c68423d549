"""Draws what a question has swept: one PNG a question. Needs the extra `bench`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

INCHES = (8, 4.5)


def available() -> bool:
    """Whether matplotlib is here."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(name: str, result: dict[str, Any], folder: Path) -> Path | None:
    """The PNG of `result["plot"]`; None when this question sweeps nothing. Lines, or bars where x is a name."""
    plot = result.get("plot")
    if plot is None:
        return None
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who wants pictures needs it

    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot(title=name, xlabel=plot["x"], ylabel=plot["y"])
    for label, points in plot["series"].items():
        across, up = zip(*points, strict=True)
        if isinstance(across[0], str):
            axes.bar(across, up, label=label)
            axes.tick_params(axis="x", rotation=30)
        else:
            axes.plot(across, up, marker="o" if len(points) < 20 else "", label=label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=100)
    return path
