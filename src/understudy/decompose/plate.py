"""The clean plate: the shot without its actor, one frame per frame of the shot.

Outside the actor's (grown) mask each frame stays as it was filmed. Inside, what other frames saw behind the actor is
brought in along the solved camera; what no frame saw is made up once and carried along.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.errors import FootageError
from understudy.core.footage import CameraSolution, Shot
from understudy.core.progress import Progress, silent
from understudy.decompose.infill import InfillConfig, infill
from understudy.decompose.plate_align import affine_residual, move
from understudy.decompose.plate_anchor import ParallaxConfig
from understudy.decompose.plate_blend import BlendConfig, Box, CleanFrame, blend, box_of, match_tone
from understudy.decompose.plate_canvas import (
    Canvas,
    CanvasGeometry,
    Panorama,
    Still,
    Witness,
    choose_witnesses,
    paint_canvas,
    steady,
)
from understudy.decompose.plate_holes import HoleTally, PlateReport, grown_by_what_moved, read_holes, reduced
from understudy.decompose.plate_parallax import fill_by_depth
from understudy.io.video import VideoWriter, read_frames

__all__ = ["PlateConfig", "PlateReport", "clean_frames", "make_clean_plate"]

_CANDIDATES = 400
_CELL = 16
_REDUCTION = 4
_SURE = 4


@dataclass(frozen=True)
class PlateConfig:
    """How a clean plate is made."""

    witnesses: int = 48
    """Most frames of a static or turning camera that are kept in memory at once."""
    memory_mb: int = 400
    """Most memory for those frames; large pictures get fewer."""
    blend: BlendConfig = field(default_factory=BlendConfig)
    parallax: ParallaxConfig = field(default_factory=ParallaxConfig)
    infill: InfillConfig = field(default_factory=InfillConfig)


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
        return fill_by_depth(shot, masks, solution, config.parallax, config.blend, config.infill, tally, progress)
    return _fill_by_canvas(shot, masks, solution, config, tally, progress)


def _fill_by_canvas(
    shot: Shot,
    masks: Sequence[Path],
    solution: CameraSolution,
    config: PlateConfig,
    tally: HoleTally,
    progress: Progress,
) -> Iterator[CleanFrame]:
    """A static or turning camera: the set on one canvas, then each frame's hole from it."""
    still = solution.move == "static"
    geometry: CanvasGeometry = Still((shot.height, shot.width)) if still else Panorama(solution.camera)
    total = 3 * len(shot)
    witness_times, needed = _plan(shot, masks, geometry, config, progress)
    witnesses = _keep_witnesses(shot, masks, witness_times, config.blend)
    progress(2 * len(shot), total)
    shaky = True
    if still:
        witnesses, shaky = steady(witnesses)
    canvas = paint_canvas(geometry, needed, witnesses, silent)
    witnesses.clear()
    unseen = canvas.needed & (canvas.support == 0)
    if unseen.any():
        _infill_canvas(canvas, unseen, config.infill)
    finisher = _Finisher(canvas, geometry, shaky, config.blend, tally)
    for index, (frame, (hole, others)) in enumerate(
        zip(read_frames(shot), read_holes(masks, config.blend), strict=True)
    ):
        yield finisher.finish(frame, hole, others, index)
        progress(2 * len(shot) + index + 1, total)


def _plan(
    shot: Shot, masks: Sequence[Path], geometry: CanvasGeometry, config: PlateConfig, progress: Progress
) -> tuple[list[int], Bool[np.ndarray, "canvas_rows canvas_columns"]]:
    """Which frames to keep as witnesses, and which cells of the canvas are needed."""
    times = sorted({round(t) for t in np.linspace(0, len(shot) - 1, min(len(shot), _CANDIDATES))})
    rows, columns = -(-shot.height // _CELL), -(-shot.width // _CELL)
    coarse = np.zeros((len(times), rows, columns), bool)
    for index, (hole, _) in enumerate(read_holes(masks, config.blend, times)):
        padded = np.zeros((rows * _CELL, columns * _CELL), bool)
        padded[: hole.shape[0], : hole.shape[1]] = hole
        coarse[index] = padded.reshape(rows, _CELL, columns, _CELL).any((1, 3))
        progress(times[index] + 1, 3 * len(shot))
    affordable = config.memory_mb * 1_000_000 // (shot.width * shot.height * 5)
    count = int(np.clip(affordable, 12, config.witnesses))
    return choose_witnesses(geometry, times, coarse, (shot.height, shot.width), count)


def _keep_witnesses(shot: Shot, masks: Sequence[Path], times: Sequence[int], config: BlendConfig) -> list[Witness]:
    frames = zip(times, read_frames(shot, times), read_holes(masks, config, times), strict=True)
    return [Witness(time, frame.copy(), hole, others) for time, frame, (hole, others) in frames]


def _infill_canvas(canvas: Canvas, unseen: Bool[np.ndarray, "height width"], config: InfillConfig) -> None:
    """Make up what no frame saw, once for the whole shot."""
    box = box_of(unseen, 160)
    if box is None:
        return
    known = canvas.support > 0
    if known[box.slices].mean() < 0.2:
        box = Box(0, unseen.shape[0], 0, unseen.shape[1])
    if not known.any():
        raise FootageError(
            "the actor hides the whole picture in every frame: nothing tells what the set looks like; "
            "choose a range in which the set is seen"
        )
    crop = canvas.picture[box.slices].astype(np.float32)
    filled = infill(crop, unseen[box.slices], known[box.slices], config)
    canvas.picture[box.slices] = np.clip(np.rint(filled), 0, 255).astype(np.uint8)


class _Finisher:
    """Fills the holes of frames from a canvas."""

    def __init__(
        self, canvas: Canvas, geometry: CanvasGeometry, shaky: bool, config: BlendConfig, tally: HoleTally
    ) -> None:
        self._shaky = shaky
        self._canvas, self._geometry, self._config, self._tally = canvas, geometry, config, tally
        # The least support in each block: a block is sure only when all of it is.
        support = cv2.erode(canvas.support, np.ones((_REDUCTION + 1, _REDUCTION + 1), np.uint8))
        self._reduced = reduced(canvas.picture, _REDUCTION), reduced(support, _REDUCTION)

    def finish(
        self,
        frame: UInt8[np.ndarray, "height width 3"],
        hole: Bool[np.ndarray, "height width"],
        others: Bool[np.ndarray, "height width"],
        index: int,
    ) -> CleanFrame:
        """One frame with its hole filled."""
        self._tally.pixels += hole.size
        done = CleanFrame(frame.copy(), np.zeros(hole.shape, np.uint8))
        if not hole.any():
            return done
        hole = self._with_what_moved(frame, hole, others, index)
        box = box_of(hole, 40)
        hole, others = hole[box.slices], others[box.slices] & ~hole[box.slices]
        picture = frame[box.slices].astype(np.float32)
        fill, support = self._look(index, box)
        around = (support >= 2) & ~hole & ~others
        if self._shaky:
            fill = move(fill, affine_residual(fill, picture, around))
        gain, offset = match_tone(fill, picture, around)
        fill = fill * gain.astype(np.float32) + offset.astype(np.float32)
        if around.any():
            self._tally.mismatches.append(float(np.median(np.abs(fill - picture)[around])))
        self._tally.hole += int(np.count_nonzero(hole))
        self._tally.seen += int(np.count_nonzero(hole & (support > 0)))
        filled = blend(picture, fill, hole, others, self._canvas.grain, index, self._config)
        done.picture[box.slices], done.removed[box.slices] = filled
        return done

    def _with_what_moved(
        self, frame: np.ndarray, hole: np.ndarray, others: np.ndarray, index: int
    ) -> Bool[np.ndarray, "height width"]:
        """The hole and the shadow, the racket … that go with it, found at reduced size."""
        small = reduced(frame, _REDUCTION).astype(np.float32)
        clean, support = self._look_reduced(index, *small.shape[:2])
        return grown_by_what_moved(small, clean, hole, others, support >= _SURE, self._config)

    def _look(
        self, index: int, box: Box
    ) -> tuple[Float[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]:
        """The canvas and its support as frame `index` sees them in a box."""
        picture, support = self._canvas.picture, self._canvas.support
        if isinstance(self._geometry, Still):
            return picture[box.slices].astype(np.float32), support[box.slices]
        # The map is smooth: solved on every eighth pixel, interpolated between.
        step = 8
        rows, columns = -(-box.shape[0] // step) + 1, -(-box.shape[1] // step) + 1
        y, x = np.mgrid[0:rows, 0:columns] * float(step)
        grid = np.stack([x + box.left, y + box.top], -1).reshape(-1, 2)
        coarse = self._geometry.frame_to_canvas(index, grid).reshape(rows, columns, 2).astype(np.float32)
        y, x = np.mgrid[0 : box.shape[0], 0 : box.shape[1]].astype(np.float32) / step
        at = cv2.remap(coarse, x, y, cv2.INTER_LINEAR)
        fill = cv2.remap(picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return fill.astype(np.float32), cv2.remap(support, at, None, cv2.INTER_NEAREST, borderValue=0)

    def _look_reduced(
        self, index: int, rows: int, columns: int
    ) -> tuple[Float[np.ndarray, "rows columns 3"], UInt8[np.ndarray, "rows columns"]]:
        """The whole frame's view of the canvas at reduced size."""
        picture, support = self._reduced
        if isinstance(self._geometry, Still):
            return picture.astype(np.float32), support
        y, x = np.mgrid[0:rows, 0:columns]
        full = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) * _REDUCTION - 0.5
        at = (self._geometry.frame_to_canvas(index, full) + 0.5) / _REDUCTION - 0.5
        at = at.reshape(rows, columns, 2).astype(np.float32)
        clean = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return clean.astype(np.float32), cv2.remap(support, at, None, cv2.INTER_NEAREST, borderValue=0)
