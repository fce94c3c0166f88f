"""A film's report as one HTML file that opens offline: a player, verdicts, pictures and curves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from understudy.studio.report.templates import jpeg_url, render_template, url_of_bytes

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
    return render_template(
        "understudy.studio.report",
        "page.html",
        title=title,
        facts=facts,
        video=url_of_bytes("video/mp4", stacked_video),
        frame_rate=f"{frame_rate:.6f}",
        first_frame=first_frame,
        frame_step=frame_step,
        sections=[_section(section) for section in sections],
        files=[(name, what) for name, _, what in (line.partition(": ") for line in listing)],
    )


def _section(section: Section) -> dict[str, object]:
    return {
        "title": section.title,
        "verdicts": section.verdicts,
        "strips": [(strip.title, [jpeg_url(picture) for picture in strip.pictures]) for strip in section.strips],
        "curves": [_drawn(curve) for curve in section.curves],
    }


@dataclass(frozen=True)
class _Drawing:
    """A curve as the template draws it; places in units of the drawing."""

    title: str
    unit: str
    last: int
    """The last frame, counted from 0."""
    max_value: str
    runs: Sequence[str]
    """Points of lines without gaps."""
    limit_y: float | None


# The box that a curve is drawn in, in units of the drawing (page.html has them too). Above it there is room for the
# unit: a limit may run along its upper edge.
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 352, 18, 118


def _drawn(curve: Curve) -> _Drawing:
    """A line over time from 0 to its greatest value; gaps where there is no value."""
    values = np.asarray(curve.values, np.float64)
    finite = np.isfinite(values)
    greatest = max([*values[finite].tolist(), curve.limit or 0.0, 1e-9])
    x = np.linspace(_LEFT, _RIGHT, max(len(values), 2))[: len(values)]
    y = _BOTTOM - (_BOTTOM - _TOP) * np.where(finite, values, 0.0) / greatest
    ends = np.flatnonzero(np.diff(finite)) + 1
    pieces = [piece for piece in np.split(np.arange(len(values)), ends) if len(piece) and finite[piece[0]]]
    return _Drawing(
        title=curve.title,
        unit=curve.unit,
        last=max(len(values) - 1, 0),
        max_value=f"{greatest:.3g}",
        runs=[" ".join(f"{x[at]:.1f},{y[at]:.1f}" for at in piece) for piece in pieces],
        limit_y=None if curve.limit is None else _BOTTOM - (_BOTTOM - _TOP) * curve.limit / greatest,
    )
