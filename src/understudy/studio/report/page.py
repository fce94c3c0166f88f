"""A film's report as one HTML file that opens offline: a player, verdicts, pictures and curves."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

__all__ = ["Curve", "Level", "Section", "Strip", "Verdict", "render_page"]

Level = Literal["good", "fair", "poor", "off"]
"""Off: the stage was switched off, or had nothing to do."""


@dataclass(frozen=True)
class Verdict:
    """How well one stage did, in plain words."""

    stage: str
    level: Level
    sentence: str
    figures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """One figure over time."""

    title: str
    unit: str
    values: Float[np.ndarray, " time"]
    """NaN where there is none."""
    limit: float | None = None
    """Above this the stage did badly."""


@dataclass(frozen=True)
class Strip:
    """Pictures of a few moments in a row."""

    title: str
    pictures: Sequence[UInt8[np.ndarray, "height width 3"]]


@dataclass(frozen=True)
class Section:
    """One cut of the shot, or the whole shot when it has no cuts."""

    title: str
    verdicts: Sequence[Verdict]
    strips: Sequence[Strip]
    curves: Sequence[Curve]


def render_page(
    title: str,
    facts: str,
    stacked_video: bytes,
    frame_rate: float,
    sections: Sequence[Section],
    listing: Sequence[str],
    first_frame: int = 1,
    frame_step: int = 1,
) -> str:
    """The whole page.

    Args:
        title: plain text; so are `facts` and the names in `listing`.
        stacked_video: an H.264 MP4 that holds the original above the result.
        listing: the film's files, each as "name: what it is".
        first_frame: the number of the first frame.
        frame_step: of every so many frames the video holds one; `frame_rate` is the video's.
    """
    body = [part for section in sections for part in _section(section, first_frame)]
    if listing:
        items = "".join(f"<li><code>{escape(name)}</code> {escape(what)}</li>" for name, what in _split(listing))
        body.append(f'<h2>Files</h2><ul class="files">{items}</ul>')
    template = Template(files("understudy.studio.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        facts=escape(facts),
        video=base64.b64encode(stacked_video).decode(),
        frame_rate=f"{frame_rate:.6f}",
        first_frame=str(first_frame),
        frame_step=str(frame_step),
        sections="\n".join(body),
    )


def _split(listing: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, what) for name, _, what in (line.partition(": ") for line in listing)]


def _section(section: Section, first_frame: int) -> list[str]:
    rows = "".join(_row(verdict) for verdict in section.verdicts)
    head = "<tr><th>part</th><th>how well it came out</th><th>figures</th></tr>"
    parts = [f'<h2>{escape(section.title)}</h2><table class="verdicts">{head}{rows}</table>']
    for strip in section.strips:
        pictures = "".join(f'<img alt="" src="{_data_url(picture)}">' for picture in strip.pictures)
        parts.append(f'<h3>{escape(strip.title)}</h3><div class="strip">{pictures}</div>')
    if section.curves:
        curves = "".join(
            f"<div><h3>{escape(curve.title)}</h3>{_svg(curve, first_frame)}</div>" for curve in section.curves
        )
        parts.append(f'<div class="curves">{curves}</div>')
    return parts


def _row(verdict: Verdict) -> str:
    figures = "<br>".join(escape(f"{name} {value}") for name, value in verdict.figures.items())
    return (
        f'<tr><td class="{verdict.level}">{escape(verdict.stage)}</td><td>{escape(verdict.sentence)}</td>'
        f'<td class="figures">{figures}</td></tr>'
    )


def _data_url(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _svg(curve: Curve, first_frame: int, width: int = 360, height: int = 138) -> str:
    """A line over time with its least and greatest value; gaps where there is no value."""
    # Above the plot there is room for the unit: a limit may run along its upper edge.
    left, right, top, bottom = 44, width - 8, 18, height - 20
    values = np.asarray(curve.values, np.float64)
    finite = values[np.isfinite(values)]
    most = max([*finite.tolist(), curve.limit or 0.0, 1e-9])
    x = np.linspace(left, right, max(len(values), 2))
    y = bottom - (bottom - top) * np.where(np.isfinite(values), values, 0.0) / most
    runs, points = [], []
    for at_x, at_y, value in zip(x, y, values, strict=False):
        if np.isfinite(value):
            points.append(f"{at_x:.1f},{at_y:.1f}")
        elif points:
            runs.append(points)
            points = []
    runs.append(points)
    lines = "".join(f'<polyline class="curve" points="{" ".join(run)}"/>' for run in runs if run)
    limit = ""
    if curve.limit is not None:
        at = bottom - (bottom - top) * curve.limit / most
        limit = f'<line class="limit" x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(curve.title)}">'
        f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>'
        f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{most:.3g}</text>'
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{left}" y="{height - 5}">frame {first_frame}</text>'
        f'<text x="{right}" y="{height - 5}" text-anchor="end">{first_frame + max(len(values) - 1, 0)}</text>'
        f'<text x="{right}" y="{top - 6}" text-anchor="end">{escape(curve.unit)}</text>{limit}{lines}</svg>'
    )
