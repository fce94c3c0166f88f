"""The report of a film: what each stage did and how well, from the files as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.footage import Shot
from understudy.io.temporary import temporary_folder
from understudy.io.video.streams import VideoWriter, read_frames, read_video
from understudy.render.renderers import RendererConfig
from understudy.runtime.parallel import prefetch
from understudy.runtime.progress import Progress
from understudy.studio.delivery import read_film
from understudy.studio.report.page import Curve, Section, Strip, render_page
from understudy.studio.report.quality import Measured, Quality, measure
from understudy.studio.report.verdicts import Choices, verdicts
from understudy.studio.stage_reports import StageReports

__all__ = ["Replaced", "film_page"]

_MOMENTS = 5
_STRIP_PX = 420
"""Width of each picture in the rows of moments."""
_PLAYER_PIXELS = 640 * 360
_PLAYER_FRAMES = 900
_PLAYER_CRF = 23
"""x264's own default: half the size of a film whose loss nobody may see."""


@dataclass(frozen=True)
class Replaced:
    """One actor who was replaced in one cut."""

    title: str
    actor: int
    shot: Shot
    """The cut."""
    plate: Path
    measured: Measured
    reports: StageReports


def film_page(
    shot: Shot,
    film: Path,
    replaced: Sequence[Replaced],
    title: str,
    facts: str,
    listing: Sequence[str],
    choices: Choices,
    renderer: RendererConfig,
    progress: Progress,
) -> tuple[str, list[dict[str, float | None]]]:
    """The page, and of each actor who was replaced the figures, for machines.

    Args:
        film: the finished film of the whole shot: a file, or a folder of pictures.
        listing: the film's files, each as "name: what it is".
        renderer: shows bodies' silhouettes.
    """
    qualities = [measure(one.measured, renderer) for one in replaced]
    sections = [_section(one, quality, shot, film, choices) for one, quality in zip(replaced, qualities, strict=True)]
    height, width = _player_size(shot)
    page = render_page(
        title,
        facts,
        _stacked_video(shot, film, width, height, progress),
        float(shot.frame_rate) / _player_step(shot),
        sections,
        listing,
        choices.first_frame,
        _player_step(shot),
    )
    return page, [_figures(quality) for quality in qualities]


def _figures(quality: Quality) -> dict[str, float | None]:
    """The median of each figure and its worst value, for machines."""
    figures: dict[str, float | None] = {}
    for name, values in vars(quality).items():
        known = values[np.isfinite(values)]
        worst = np.min if name == "mask_iou" else np.max
        figures[name] = round(float(np.median(known)), 4) if len(known) else None
        figures[f"{name}_worst"] = round(float(worst(known)), 4) if len(known) else None
    return figures


def _section(one: Replaced, quality: Quality, shot: Shot, film: Path, choices: Choices) -> Section:
    frames = np.unique(np.linspace(0, len(one.shot) - 1, _MOMENTS).round().astype(int)).tolist()
    offset = one.shot.start_frame - shot.start_frame
    originals = list(read_frames(one.shot, frames))
    results = list(read_film(film, [offset + frame for frame in frames]))
    masks = list(read_video(one.measured.matte, frames))
    plates = list(read_video(one.plate, frames))
    tinted = [_tint(picture, mask) for picture, mask in zip(originals, masks, strict=True)]
    rows = {"original": originals, "the actor's matte": tinted, "clean plate": plates, "result": results}
    strips = [Strip(title, [_small(picture) for picture in pictures]) for title, pictures in rows.items()]
    curves = [
        Curve("body track: joints off by, of the actor's height", "%", quality.reprojection_percent, 6.0),
        Curve("matte: overlap with the body", "", _joined(quality.mask_iou)),
        Curve("feet: slide of a standing foot, a frame", "mm", quality.foot_slide_mm, 15.0),
        Curve("smoothness: jitter of the joints", "m/s³", 10 * quality.jitter, 600.0),
        Curve("camera track: tracking error", "px", quality.camera_residual_px, 2.5),
    ]
    return Section(one.title, verdicts(one.reports, quality, choices, one.actor), strips, curves)


def _joined(values: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """Samples joined by straight lines."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values
    return np.interp(np.arange(len(values)), known, values[known], left=np.nan, right=np.nan)


def _tint(picture: UInt8[np.ndarray, "height width 3"], mask: UInt8[np.ndarray, "height width"]) -> np.ndarray:
    share = 0.55 * (mask.astype(np.float32) / 255)[..., None]
    return (picture * (1 - share) + np.array([255, 120, 60], np.float32) * share).astype(np.uint8)


def _small(picture: np.ndarray) -> np.ndarray:
    height = round(picture.shape[0] * _STRIP_PX / picture.shape[1])
    return cv2.resize(picture, (_STRIP_PX, height), interpolation=cv2.INTER_AREA)


def _player_size(shot: Shot) -> tuple[int, int]:
    scale = min(1.0, (_PLAYER_PIXELS / (shot.width * shot.height)) ** 0.5)
    return max(2, round(shot.height * scale / 2) * 2), max(2, round(shot.width * scale / 2) * 2)


def _player_step(shot: Shot) -> int:
    """Long shots play every second, third … frame, so that the page stays small."""
    return -(-len(shot) // _PLAYER_FRAMES)


def _stacked_video(shot: Shot, film: Path, width: int, height: int, progress: Progress) -> bytes:
    """The original above the result, as an MP4."""
    step = _player_step(shot)
    played = range(0, len(shot), step)
    readers = (partial(read_frames, shot), partial(read_film, film))
    with temporary_folder("report") as folder:
        path = folder / "player.mp4"
        with VideoWriter(path, width, 2 * height, shot.frame_rate / step, "plate", _PLAYER_CRF) as writer:
            originals, results = (read(played, max_side_px=max(width, height)) for read in readers)
            for frame, *pair in zip(played, prefetch(originals), prefetch(results), strict=True):
                halves = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pair]
                writer.write(np.concatenate(halves))
                progress(frame + 1, len(shot))
        return path.read_bytes()
