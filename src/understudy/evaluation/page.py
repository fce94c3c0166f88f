"""One HTML page about video models, which opens offline: moving clips, curves and tables."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from understudy.studio.report.templates import render_template, url_of_bytes

__all__ = ["Clips", "Plot", "Table", "render_evaluation"]

COLOURS = ("#8db7e8", "#e0b04c", "#6fbf73", "#e2685c", "#b79ce0", "#63c5c0", "#d98cb3", "#a8a49c")
FRAME_MS = 220
GAP_PX = 4


@dataclass(frozen=True)
class Table:
    """Rows with the same keys."""

    title: str
    note: str
    rows: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Plot:
    """Lines over a common axis, by name: each of points (x, y)."""

    title: str
    x_name: str
    y_name: str
    lines: Mapping[str, Float[np.ndarray, "point 2"]]


@dataclass(frozen=True)
class Clips:
    """Films side by side, in rows by name, moving together."""

    title: str
    rows: Mapping[str, UInt8[np.ndarray, "clip frame height width 3"]]
    words: Sequence[str]


def render_evaluation(
    title: str, facts: str, tables: Sequence[Table], plots: Sequence[Plot], clips: Sequence[Clips]
) -> str:
    """The whole page; all text is plain."""
    return render_template(
        "understudy.evaluation",
        "page.html",
        title=title,
        facts=facts,
        clips=[(entry, _moving_picture(entry)) for entry in clips],
        tables=tables,
        plots=[_drawn(plot) for plot in plots],
    )


def _moving_picture(clips: Clips) -> str:
    """One moving picture with a row per film: so the films can never drift apart."""
    strips = []
    for row in clips.rows.values():
        padded = np.pad(row, ((0, 0), (0, 0), (0, GAP_PX), (0, GAP_PX), (0, 0)))
        strips.append(np.concatenate(list(padded), 2))
    grid = np.concatenate(strips, 1)
    pictures = [Image.fromarray(frame) for frame in grid]
    stream = io.BytesIO()
    pictures[0].save(
        stream, "WEBP", save_all=True, append_images=pictures[1:], duration=FRAME_MS, loop=0, lossless=True, method=2
    )
    return url_of_bytes("image/webp", stream.getvalue())


# The box that a plot's lines are drawn in, in units of the drawing (page.html has them too).
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 390, 10, 216


@dataclass(frozen=True)
class _Drawing:
    """A plot as the template draws it."""

    plot: Plot
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    lines: Sequence[tuple[str, str, str]]
    """Name, colour and points of each."""


def _drawn(plot: Plot) -> _Drawing:
    points = np.concatenate([line for line in plot.lines.values() if len(line)] or [np.zeros((1, 2))])
    points = points[np.isfinite(points).all(1)]
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    span_x, span_y = max(x1 - x0, 1e-9), max(y1 - y0, 1e-9)
    lines = []
    for number, (name, line) in enumerate(plot.lines.items()):
        finite = line[np.isfinite(line).all(1)]
        x = _LEFT + (_RIGHT - _LEFT) * (finite[:, 0] - x0) / span_x
        y = _BOTTOM - (_BOTTOM - _TOP) * (finite[:, 1] - y0) / span_y
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append((name, COLOURS[number % len(COLOURS)], path))
    return _Drawing(plot, (x0, x1), (y0, y1), lines)
