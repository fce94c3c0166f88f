"""The clean plate: the shot without its actor, one frame per frame of the shot.

Outside the actor's (grown) mask each frame stays as it was filmed. Inside, what other frames saw behind the actor is
brought in along the solved camera; what no frame saw is made up once and carried along.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from understudy.core.footage import CameraSolution, Shot
from understudy.decompose.plate.affine_residual import affine_residual, move
from understudy.decompose.plate.blend import BlendConfig, Box, CleanFrame, blend, box_of, match_tone
from understudy.decompose.plate.holes import Holes, HoleTally, PlateReport, in_light, parted, read_holes, reduced
from understudy.decompose.plate.keyframe_plate import ParallaxConfig
from understudy.decompose.plate.mosaic import (
    Mosaic,
    MosaicGeometry,
    MosaicView,
    Panorama,
    Still,
    Witness,
    cells_of,
    choose_witnesses,
    paint_mosaic,
    steady,
)
from understudy.decompose.plate.moving_things import Sorted, sort_out
from understudy.decompose.plate.parallax import fill_by_depth
from understudy.decompose.plate.shadow import Beside, ShadowZone
from understudy.imaging.inpaint import InpaintConfig, inpaint
from understudy.io.video.streams import VideoWriter, read_frames
from understudy.runtime.checks import check_options
from understudy.runtime.errors import FootageError
from understudy.runtime.progress import Progress, silent

__all__ = ["PlateConfig", "PlateReport", "clean_frames", "make_clean_plate"]

_CANDIDATES = 400
_CELL = 16


@dataclass(frozen=True)
class PlateConfig:
    """How a clean plate is made."""

    max_witnesses: int = 48
    """Most frames of a static or turning camera that are kept in memory at once."""
    memory_mb: int = 400
    """Most memory for those frames; large pictures get fewer."""
    blend: BlendConfig = field(default_factory=BlendConfig)
    parallax: ParallaxConfig = field(default_factory=ParallaxConfig)
    inpaint: InpaintConfig = field(default_factory=InpaintConfig)

    def __post_init__(self) -> None:
        check_options(self, max_witnesses=(2, 1000), memory_mb=(1, 1_000_000))


def make_clean_plate(
    shot: Shot,
    masks: Sequence[Path],
    solution: CameraSolution,
    out: Path,
    removed: Path,
    config: PlateConfig | None = None,
    progress: Progress = silent,
) -> PlateReport:
    """Write the shot without the actor to `out`, and what was removed to `removed`, one frame per frame of the shot.

    Args:
        masks: grey mask videos, one frame per frame of the shot: first the actor, then other people, who stay.
        solution: the shot's camera, as `solve_camera` found it.
        removed: a grey mask video (.mkv), lossless: the fill's share of each pixel of the plate. 0: the source's own
            pixel, to the bit before encoding; 255: wholly the fill.

    Raises:
        FootageError: no mask is given, or camera and shot differ in length.
    """
    config = config or PlateConfig()
    start = time.perf_counter()
    tally = HoleTally()
    frames = clean_frames(shot, masks, solution, config, tally, progress)
    size = shot.width, shot.height, shot.frame_rate
    with VideoWriter(out, *size, "plate") as plate_writer, VideoWriter(removed, *size, "mask") as removed_writer:
        for frame in frames:
            plate_writer.write(frame.picture)
            removed_writer.write(frame.removed)
    return tally.report(solution.move, (time.perf_counter() - start) / len(shot))


def clean_frames(
    shot: Shot,
    masks: Sequence[Path],
    solution: CameraSolution,
    config: PlateConfig,
    tally: HoleTally,
    progress: Progress = silent,
) -> Iterator[CleanFrame]:
    """The shot's frames without the actor, in order; counts into `tally`. For the arguments see `make_clean_plate`."""
    if not masks:
        raise FootageError("a clean plate needs the actor's mask; got none: find people in the shot first")
    if len(solution.camera) != len(shot):
        raise FootageError(
            f"the camera has {len(solution.camera)} frames, the shot {len(shot)}: solve the camera of this very range"
        )
    if solution.move == "parallax":
        return fill_by_depth(shot, masks, solution, config.parallax, config.blend, config.inpaint, tally, progress)
    return _fill_from_mosaic(shot, masks, solution, config, tally, progress)


def _fill_from_mosaic(
    shot: Shot,
    masks: Sequence[Path],
    solution: CameraSolution,
    config: PlateConfig,
    tally: HoleTally,
    progress: Progress,
) -> Iterator[CleanFrame]:
    """A static or turning camera: the set on one mosaic, then each frame's hole from it."""
    still = solution.move == "static"
    geometry: MosaicGeometry = Still((shot.height, shot.width)) if still else Panorama(solution.camera)
    total = 3 * len(shot)
    witness_times, needed = _plan(shot, masks, geometry, config, progress)
    witnesses = _keep_witnesses(shot, masks, witness_times, config.blend)
    progress(2 * len(shot), total)
    shaky = True
    if still:
        witnesses, shaky = steady(witnesses)
    mosaic, zone = _paint(geometry, needed, witnesses, config)
    witnesses.clear()
    finisher = _Finisher(mosaic, geometry, shaky, config.blend, tally)
    beside = (
        finisher.beside(frame, holes, index)
        for index, (frame, holes) in enumerate(zip(read_frames(shot), read_holes(masks, config.blend), strict=True))
    )
    frames = zip(read_frames(shot), read_holes(masks, config.blend), sort_out(beside, zone, config.blend), strict=True)
    for index, (frame, holes, moved) in enumerate(frames):
        yield finisher.finish(frame, holes, moved, index)
        progress(2 * len(shot) + index + 1, total)


def _paint(
    geometry: MosaicGeometry,
    needed: Bool[np.ndarray, "mosaic_rows mosaic_columns"],
    witnesses: Sequence[Witness],
    config: PlateConfig,
) -> tuple[Mosaic, ShadowZone]:
    """The clean set without the actor's shadow, and where that lies."""
    mosaic, zone = paint_mosaic(geometry, needed, witnesses, silent), ShadowZone()
    view = MosaicView(mosaic, geometry)
    for witness in witnesses:
        zone.add(
            view.beside(witness.picture, Holes(witness.hole, witness.others, witness.hole, witness.hole), witness.time)
        )
    zone.settle()
    if zone.found:
        # Once more, without what lies in shadow in most frames that see it.
        mosaic = paint_mosaic(geometry, needed, [_without_shadow(w, zone, view.scale) for w in witnesses], silent)
    unseen = mosaic.needed & (mosaic.support == 0)
    if unseen.any():
        _inpaint_mosaic(mosaic, unseen, config.inpaint)
    return mosaic, zone


def _without_shadow(witness: Witness, zone: ShadowZone, scale: int) -> Witness:
    """A witness that is asked last where the actor's shadow can lie."""
    height, width = witness.hole.shape
    small = zone.place(reduced(witness.hole.astype(np.float32), scale) > 0)
    place = cv2.resize(small.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST) > 0
    return replace(witness, others=witness.others | (place[:height, :width] & ~witness.hole))


def _plan(
    shot: Shot, masks: Sequence[Path], geometry: MosaicGeometry, config: PlateConfig, progress: Progress
) -> tuple[list[int], Bool[np.ndarray, "mosaic_rows mosaic_columns"]]:
    """Which frames to keep as witnesses, and which cells of the mosaic are needed."""
    times = sorted({round(t) for t in np.linspace(0, len(shot) - 1, min(len(shot), _CANDIDATES))})
    rows, columns = -(-shot.height // _CELL), -(-shot.width // _CELL)
    coarse = np.zeros((len(shot), rows, columns), bool)
    for index, holes in enumerate(read_holes(masks, config.blend)):
        padded = np.zeros((rows * _CELL, columns * _CELL), bool)
        padded[: shot.height, : shot.width] = holes.hole
        coarse[index] = padded.reshape(rows, _CELL, columns, _CELL).any((1, 3))
        progress(index + 1, 3 * len(shot))
    affordable = config.memory_mb * 1_000_000 // (shot.width * shot.height * 5)
    count = int(np.clip(affordable, 12, config.max_witnesses))
    needed = cells_of(geometry, coarse)
    return choose_witnesses(geometry, needed, times, coarse[times], (shot.height, shot.width), count), needed


def _keep_witnesses(shot: Shot, masks: Sequence[Path], times: Sequence[int], config: BlendConfig) -> list[Witness]:
    frames = zip(times, read_frames(shot, times), read_holes(masks, config, times), strict=True)
    return [Witness(time, frame.copy(), holes.hole, holes.others) for time, frame, holes in frames]


def _inpaint_mosaic(mosaic: Mosaic, unseen: Bool[np.ndarray, "height width"], config: InpaintConfig) -> None:
    """Make up what no frame saw, once for the whole shot."""
    box = box_of(unseen, 160)
    if box is None:
        return
    known = mosaic.support > 0
    if known[box.slices].mean() < 0.2:
        box = Box(0, unseen.shape[0], 0, unseen.shape[1])
    if not known.any():
        raise FootageError(
            "the actor hides the whole picture in every frame: nothing tells what the set looks like; "
            "choose a range in which the set is seen"
        )
    crop = mosaic.picture[box.slices].astype(np.float32)
    filled = inpaint(crop, unseen[box.slices], known[box.slices], config)
    mosaic.picture[box.slices] = np.clip(np.rint(filled), 0, 255).astype(np.uint8)


class _Finisher:
    """Fills the holes of frames from a mosaic."""

    def __init__(
        self, mosaic: Mosaic, geometry: MosaicGeometry, shaky: bool, config: BlendConfig, tally: HoleTally
    ) -> None:
        self._view, self._grain = MosaicView(mosaic, geometry), mosaic.grain
        self._shaky, self._config, self._tally = shaky, config, tally

    def beside(self, frame: UInt8[np.ndarray, "height width 3"], holes: Holes, index: int) -> Beside:
        """A frame beside the clean set, to find what moved."""
        return self._view.beside(frame, holes, index)

    def finish(self, frame: UInt8[np.ndarray, "height width 3"], holes: Holes, moved: Sorted, index: int) -> CleanFrame:
        """One frame with its hole, and what goes with the actor, filled."""
        self._tally.pixels += holes.hole.size
        done = CleanFrame(frame.copy(), np.zeros(holes.hole.shape, np.uint8))
        hole, others, *_ = parted(holes, moved, self._view.scale)
        box = box_of(hole, 40)
        if box is None:
            return done
        hole, others = hole[box.slices], others[box.slices] & ~hole[box.slices]
        picture = frame[box.slices].astype(np.float32)
        fill, support = self._view.look(index, box)
        around = (support >= 2) & ~hole & ~others
        if self._shaky:
            fill = move(fill, affine_residual(fill, picture, around))
        gain, offset = match_tone(fill, picture, around)
        fill = fill * gain.astype(np.float32) + offset.astype(np.float32)
        fill = in_light(fill, moved, box, self._view.scale)
        if around.any():
            self._tally.mismatches.append(float(np.median(np.abs(fill - picture)[around])))
        self._tally.hole += int(np.count_nonzero(hole))
        self._tally.seen += int(np.count_nonzero(hole & (support > 0)))
        filled = blend(picture, fill, hole, others, self._grain, index, self._config)
        done.picture[box.slices], done.removed[box.slices] = filled
        return done
