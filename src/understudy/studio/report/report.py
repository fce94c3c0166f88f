"""The report of a film: what each stage did and how well, from the files as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.footage import Shot
from understudy.io.files import reading
from understudy.io.passes import PASS_FILES
from understudy.io.temporary import temporary_folder
from understudy.io.video.streams import VideoWriter, read_frames, read_video
from understudy.runtime.errors import printable
from understudy.runtime.parallel import prefetch
from understudy.runtime.progress import Progress
from understudy.studio.narration import Narrator
from understudy.studio.pipeline.cut import Cut
from understudy.studio.pipeline.delivery import film_name, read_film
from understudy.studio.project import MANIFEST, Project
from understudy.studio.report.page import Curve, Section, Strip, render_page
from understudy.studio.report.quality import Quality, measure
from understudy.studio.report.verdicts import verdicts

__all__ = ["report_stage"]

_MOMENTS = 5
_PLAYER_PIXELS = 640 * 360
_PLAYER_FRAMES = 900


def report_stage(project: Project, shot: Shot, cuts: Sequence[Cut], played: Sequence[Cut], narrator: Narrator) -> None:
    """Write `report.html`."""
    whole = Cut(project, shot, cuts[0].config, narrator)
    per_cut = ("camera/source.json", "camera/fitted.json", "plate/clean_plate.mp4", "passes", "light.json")
    film = project.path(film_name(whole.config.film_codec))
    per_actor = ("mask.mkv", "presence.json", "motion.npz")
    reads = [cut.prefix + name for cut in played for name in (*per_cut, *(f"{cut.actor}/{name}" for name in per_actor))]

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        qualities = {cut.prefix: measure(cut) for cut in played}
        sections = [
            _section(cut, qualities[cut.prefix], film, number if len(cuts) > 1 else 0)
            for number, cut in enumerate(cuts, 1)
            if cut in played
        ]
        height, width = _player_size(shot)
        seconds = sum(project.stages[name].seconds for name in project.visited)
        facts = (
            f"{shot.width} × {shot.height}, {len(shot)} frames at {float(shot.frame_rate):g} per second, "
            f"{len(cuts)} {'cut' if len(cuts) == 1 else 'cuts'}; "
            f"made in {seconds:.0f} s ({seconds / len(shot):.2f} s per frame)"
        )
        page = render_page(
            printable(f"{shot.path.name} with {project.header['character']['file']}"),
            facts,
            _stacked_video(shot, film, width, height, progress),
            float(shot.frame_rate) / _player_step(shot),
            sections,
            [line for cut in played for line in _listing(cut)],
            whole.config.first_frame,
            _player_step(shot),
        )
        (folder / "report.html").write_text(page, encoding="utf-8")
        return {cut.prefix or "whole": _figures(qualities[cut.prefix]) for cut in played}

    whole.run("report", [film.name, *reads], {}, ["report.html"], work, reads_shot=True)


def _figures(quality: Quality) -> dict[str, float | None]:
    """The median of each figure and its worst value, for machines."""
    figures: dict[str, float | None] = {}
    for name, values in vars(quality).items():
        known = values[np.isfinite(values)]
        worst = np.min if name == "mask_iou" else np.max
        figures[name] = round(float(np.median(known)), 4) if len(known) else None
        figures[f"{name}_worst"] = round(float(worst(known)), 4) if len(known) else None
    return figures


def _section(cut: Cut, quality: Quality, film: Path, number: int) -> Section:
    frames = np.unique(np.linspace(0, len(cut.shot) - 1, _MOMENTS).round().astype(int)).tolist()
    offset = cut.shot.start_frame - _first_frame(cut)
    originals = list(read_frames(cut.shot, frames))
    results = list(read_film(film, [offset + frame for frame in frames]))
    masks = list(read_video(cut.path(f"{cut.actor}/mask.mkv"), frames))
    plates = list(read_video(cut.path("plate/clean_plate.mp4"), frames))
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
    records = {
        name.removeprefix(cut.prefix): cut.project.stages[name]
        for name in cut.project.visited
        if name.startswith(cut.prefix)
    }
    records["character"] = cut.project.stages["character"]
    title = f"Cut {number}" if number else "The shot"
    with reading(cut.project.path(MANIFEST), "film's manifest", advice="delete it and make the film anew"):
        return Section(title, verdicts(records, quality, cut.config), strips, curves)


def _joined(values: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """Samples joined by straight lines."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values
    return np.interp(np.arange(len(values)), known, values[known], left=np.nan, right=np.nan)


def _first_frame(cut: Cut) -> int:
    """Where the film begins in the source file."""
    return int(cut.project.header["shot"]["first_frame"])


def _tint(picture: UInt8[np.ndarray, "height width 3"], mask: UInt8[np.ndarray, "height width"]) -> np.ndarray:
    share = 0.55 * (mask.astype(np.float32) / 255)[..., None]
    return (picture * (1 - share) + np.float32([255, 120, 60]) * share).astype(np.uint8)


def _small(picture: np.ndarray, width: int = 420) -> np.ndarray:
    height = round(picture.shape[0] * width / picture.shape[1])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


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
    with temporary_folder("report") as folder:
        path = folder / "player.mp4"
        with VideoWriter(path, width, 2 * height, shot.frame_rate / step, "film") as writer:
            sources = read_frames(shot, played, max_side_px=2 * max(width, height))
            for frame, *pair in zip(played, prefetch(sources), prefetch(read_film(film, played)), strict=True):
                halves = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pair]
                writer.write(np.concatenate(halves))
                progress(frame + 1, len(shot))
        return path.read_bytes()


def _listing(cut: Cut) -> list[str]:
    sequences = {
        "exr": {"passes/exr": "the character, one multi-layer EXR a frame; passes/README.txt says what is in it"},
        "png": {"passes/png": "the character's colour, one PNG a frame"},
        "video": {},
    }
    files = {
        f"{cut.actor}/motion.bvh": "the actor's motion; edit it and run again",
        f"{cut.actor}/motion.npz": "the same, with exact numbers",
        f"{cut.actor}/mask.mkv": "the actor's matte, lossless; edit it and run again",
        f"{cut.actor}/presence.json": "when the actor is there: first and last frames; edit it and run again",
        f"{cut.actor}/body.glb": "the actor's fitted body",
        "camera/source.json": "the shot's camera (also as USD and for COLMAP and nerfstudio)",
        "camera/fitted.json": "the camera re-fitted to the character; edit it and run again",
        "plate/clean_plate.mp4": "the set without the actor",
        "plate/removed.mkv": "how much of each pixel of the plate is not the shot's own, lossless",
        "performance/motion.bvh": "the character's motion",
        "light.json": "the set's light; edit it and run again",
        "scene.glb": "the animated character and the animated camera",
        **sequences[cut.config.passes],
        **{f"passes/{name}": what for name, what in PASS_FILES.items()},
    }
    return [f"{cut.prefix}{name}: {what}" for name, what in files.items()]
