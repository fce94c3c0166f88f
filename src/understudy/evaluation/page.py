"""One HTML page about video models, which opens offline: moving clips, curves and tables."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

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
    parts = [_clips(entry) for entry in clips]
    parts += [_table(table) for table in tables]
    drawn = "".join(f"<div><h3>{escape(plot.title)}</h3>{_svg(plot)}</div>" for plot in plots)
    parts.append(f'<div class="curves">{drawn}</div>')
    template = Template(files("understudy.evaluation").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(title=escape(title), facts=escape(facts), body="\n".join(parts))


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.rows[0])
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row.values())}</tr>" for row in table.rows)
    note = f'<p class="facts">{escape(table.note)}</p>' if table.note else ""
    return f"<h2>{escape(table.title)}</h2>{note}<table><tr>{head}</tr>{rows}</table>"


def _clips(clips: Clips) -> str:
    """One moving picture with a row per film, its names beside it: so the films can never drift apart."""
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
    source = "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
    names = "".join(f"<span>{escape(name)}</span>" for name in clips.rows)
    words = "".join(f"<li>{escape(sentence)}</li>" for sentence in clips.words)
    return (
        f'<h2>{escape(clips.title)}</h2><div class="clips"><div class="names">{names}</div>'
        f'<img alt="" src="{source}"></div><ol class="words">{words}</ol>'
    )


def _svg(plot: Plot, width: int = 520, height: int = 240) -> str:
    left, right, top, bottom = 44, width - 130, 10, height - 24
    points = np.concatenate([line for line in plot.lines.values() if len(line)] or [np.zeros((1, 2))])
    points = points[np.isfinite(points).all(1)]
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    span_x, span_y = max(x1 - x0, 1e-9), max(y1 - y0, 1e-9)
    drawn = []
    for number, (name, line) in enumerate(plot.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        finite = line[np.isfinite(line).all(1)]
        x = left + (right - left) * (finite[:, 0] - x0) / span_x
        y = bottom - (bottom - top) * (finite[:, 1] - y0) / span_y
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        drawn.append(f'<polyline style="fill:none;stroke:{colour};stroke-width:1.6" points="{path}"/>')
        drawn.append(f'<text x="{right + 8}" y="{top + 12 + 15 * number}" style="fill:{colour}">{escape(name)}</text>')
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(plot.title)}">'
        f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>'
        f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{y1:.3g}</text>'
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end">{y0:.3g}</text>'
        f'<text x="{left}" y="{height - 6}">{escape(plot.x_name)} {x0:.4g}</text>'
        f'<text x="{right}" y="{height - 6}" text-anchor="end">{x1:.4g}</text>'
        f'<text x="{left + 6}" y="{top + 8}">{escape(plot.y_name)}</text>{"".join(drawn)}</svg>'
    )
