"""The clean plate: the shot without its actor, one frame per frame of the shot.

Outside the actor's (grown) mask each frame stays as it was filmed. Inside, what other frames saw behind the actor is
brought in along the solved camera; what no frame saw is made up once and carried along.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from understudy.core.footage import CameraSolution, Shot
from understudy.decompose.plate.affine_residual import AlignmentTarget, affine_residual, move
from understudy.decompose.plate.blend import BlendConfig, Box, CleanFrame, Filling, blended, box_of, match_tone
from understudy.decompose.plate.holes import (
    Holes,
    HoleTally,
    PlateReport,
    holes_with_moved,
    in_light,
    read_holes,
    read_twice,
    reduced,
)
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
    in_cells,
    paint_mosaic,
    repaint_mosaic,
    steady,
    touched_cells,
)
from understudy.decompose.plate.moving_things import CHUNK, MovedRegions, sort_moved_regions
from understudy.decompose.plate.parallax import fill_by_depth
from understudy.decompose.plate.shadow import Comparison, ShadowZone
from understudy.imaging.inpaint import InpaintConfig, inpaint
from understudy.io.video.streams import VideoWriter, read_frames
from understudy.runtime.checks import check_options
from understudy.runtime.errors import FootageError
from understudy.runtime.parallel import in_order, write_behind
from understudy.runtime.progress import Progress, silent

__all__ = ["PlateConfig", "PlateReport", "clean_frames", "make_clean_plate"]

_CANDIDATES = 400
"""Frames among which those are chosen that the mosaic is made of; more would not see much more."""
_SLACK_CELLS = 3
"""Cells around a shadow that are painted anew: frames of another zoom have their cells farther apart."""
_RIM_PX = 40
"""Pixels around a hole in which tone and alignment are measured."""


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
    tally = HoleTally()
    frames = clean_frames(shot, masks, solution, config, tally, progress)
    size = shot.width, shot.height, shot.frame_rate
    with VideoWriter(out, *size, "plate") as plate_writer, VideoWriter(removed, *size, "mask") as removed_writer:

        def write(frame: CleanFrame) -> None:
            plate_writer.write(frame.picture)
            removed_writer.write(frame.removed)

        for _ in write_behind(write, frames):
            pass
    return tally.report(solution.move)


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
    to_compare, to_fill = read_twice(shot, masks, config.blend, 2 * CHUNK)
    view = MosaicView(mosaic, geometry)
    comparisons = in_order(lambda item: view.compare(*item[1], item[0]), enumerate(to_compare))
    moves = sort_moved_regions(comparisons, zone, config.blend)
    frames = enumerate(zip(to_fill, moves, strict=True))
    fillings = in_order(lambda item: _filling(item[0], *item[1], view, shaky), frames)
    with_grain = ((index, filling, mosaic.grain) for index, filling in enumerate(fillings))
    for index, (done, counted) in enumerate(in_order(lambda item: blended(*item, config.blend), with_grain)):
        tally.add(counted)
        yield done
        progress(2 * len(shot) + index + 1, total)


def _paint(
    geometry: MosaicGeometry,
    needed: Bool[np.ndarray, "mosaic_rows mosaic_columns"],
    witnesses: Sequence[Witness],
    config: PlateConfig,
) -> tuple[Mosaic, ShadowZone]:
    """The clean set without the actor's shadow, and where that lies."""
    mosaic, zone = paint_mosaic(geometry, needed, witnesses), ShadowZone()
    view = MosaicView(mosaic, geometry)

    def seen_by(witness: Witness) -> Comparison:
        holes = Holes(witness.hole, witness.others, witness.hole, witness.hole)
        return view.compare(witness.picture, holes, witness.time)

    for comparison in in_order(seen_by, witnesses):
        zone.add(comparison)
    zone.settle()
    if zone.found:
        # Once more, without what lies in shadow in most frames that see it.
        places = [_shadow_place(witness, zone, view.scale) for witness in witnesses]
        pairs = list(zip(witnesses, places, strict=True))
        lit = [replace(witness, others=witness.others | place) for witness, place in pairs]
        cells = {witness.time: in_cells(place) for witness, place in pairs}
        mosaic = repaint_mosaic(mosaic, geometry, touched_cells(geometry, cells, _SLACK_CELLS) & needed, lit)
    unseen = mosaic.needed & (mosaic.support == 0)
    if unseen.any():
        _inpaint_mosaic(mosaic, unseen, config.inpaint)
    return mosaic, zone


def _shadow_place(witness: Witness, zone: ShadowZone, scale: int) -> Bool[np.ndarray, "height width"]:
    """Where the actor's shadow can lie in a witness, which is asked last there."""
    height, width = witness.hole.shape
    small = zone.place(reduced(witness.hole.astype(np.float32), scale) > 0)
    place = cv2.resize(small.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST) > 0
    return place[:height, :width] & ~witness.hole


def _plan(
    shot: Shot, masks: Sequence[Path], geometry: MosaicGeometry, config: PlateConfig, progress: Progress
) -> tuple[list[int], Bool[np.ndarray, "mosaic_rows mosaic_columns"]]:
    """Which frames to keep as witnesses, and which cells of the mosaic are needed."""
    times = sorted({round(t) for t in np.linspace(0, len(shot) - 1, min(len(shot), _CANDIDATES))})
    cells = []
    for index, hole in enumerate(in_order(lambda holes: in_cells(holes.hole), read_holes(masks, config.blend))):
        cells.append(hole)
        progress(index + 1, 3 * len(shot))
    coarse = np.stack(cells)
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


def _filling(
    index: int,
    shown: tuple[UInt8[np.ndarray, "height width 3"], Holes],
    moved: MovedRegions,
    view: MosaicView,
    shaky: bool,
) -> Filling:
    """One frame, and what the mosaic has for its hole and for what goes with the actor."""
    frame, holes = shown
    hole, others, *_ = holes_with_moved(holes, moved, view.scale)
    box = box_of(hole, _RIM_PX)
    if box is None:
        return Filling(frame)
    hole, others = hole[box.slices], others[box.slices] & ~hole[box.slices]
    picture = frame[box.slices].astype(np.float32)
    fill, support = view.look(index, box)
    around = (support >= 2) & ~hole & ~others
    if shaky:
        fill = move(fill, affine_residual(fill, AlignmentTarget.of(picture), around))
    gain, offset = match_tone(fill, picture, around)
    fill = fill * gain.astype(np.float32) + offset.astype(np.float32)
    return Filling(frame, box, in_light(fill, moved, box, view.scale), hole, others, support > 0, around)
