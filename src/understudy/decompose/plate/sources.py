"""The frames that show what the actor hides in others: read in order, and kept as long as a keyframe needs them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.footage import Shot
from understudy.decompose.plate.blend import BlendConfig, Box, box_of
from understudy.decompose.plate.holes import holes_of, read_masks, reduced
from understudy.io.video.streams import read_frames
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order

__all__ = ["Source", "SourceConfig", "SourceWindow", "keyframe_times", "scale_of", "source_windows"]

_SMALL_HEIGHT = 150
"""Pixels: about the height at which alignment, tone and depth are measured."""
_MAX_CLEARANCE = 127
"""Pixels: farther from a hole, one place is as good as another. Seven bits."""
_OTHERS = 128
"""The bit that says that another person is there."""


@dataclass(frozen=True)
class SourceConfig:
    """Which frames of a travelling camera's shot are cleaned with care, and from which others."""

    keyframe_spacing: int = 8
    """Frames from one carefully cleaned frame to the next."""
    source_spacing: int = 4
    """Frames from one source to the next; divides the keyframes' spacing."""
    reach: int = 48
    """How far before and after a keyframe sources are kept, in frames."""
    far_sources: int = 16
    """Further sources, evenly spread over the whole shot."""
    memory_mb: int = 500
    """Most memory for sources; of large pictures fewer are kept."""
    min_clearance: float = 0.006
    """How far from its own hole a source is believed at all, as a share of the picture's height."""

    def __post_init__(self) -> None:
        check_options(
            self,
            keyframe_spacing=(1, 1000),
            source_spacing=(1, 1000),
            reach=(1, 10_000),
            far_sources=(0, 1000),
            memory_mb=(1, 1_000_000),
            min_clearance=(0, 1),
        )

    def min_clearance_px(self, height: int) -> int:
        """`min_clearance` in pixels of a picture of this height."""
        return max(2, round(self.min_clearance * height))


@dataclass(frozen=True)
class Source:
    """A frame that may show what the actor hides in another."""

    time: int
    picture: UInt8[np.ndarray, "height width 3"]
    clearance: UInt8[np.ndarray, "height width"]
    """Distance of each pixel from the actor's hole, 0 … 127 (hair and motion blur reach beyond a rough mask); 128 more
    where another person is. One byte, for many sources are kept."""
    small: Float[np.ndarray, "rows columns 3"]
    """The picture at 1/scale."""
    small_free: Float[np.ndarray, "rows columns"]
    """1 where nobody is in sight, at 1/scale."""

    @property
    def hole(self) -> Bool[np.ndarray, "height width"]:
        """Where the actor is."""
        return (self.clearance & _MAX_CLEARANCE) == 0

    @property
    def others(self) -> Bool[np.ndarray, "height width"]:
        """Where other people are."""
        return self.clearance >= _OTHERS

    def near_actor(self, distance_px: int, box: Box) -> Bool[np.ndarray, "rows columns"]:
        """Which pixels of a box lie within a distance from the actor's hole."""
        return (self.clearance[box.slices] & _MAX_CLEARANCE) <= distance_px


@dataclass(frozen=True)
class SourceWindow:
    """What is read of the shot to make one keyframe."""

    target: Source
    """The keyframe as it was filmed."""
    nearest_first: tuple[Source, ...]
    """Other frames of the shot, by their distance in time."""
    holes: Mapping[int, Box | None]
    """Of the frames up to a keyframe's spacing before and after: what surrounds the actor's hole; None without one."""


def scale_of(height: int) -> int:
    """By how much pictures of this height are reduced to measure on them."""
    return max(2, round(height / _SMALL_HEIGHT))


def keyframe_times(length: int, spacing: int) -> list[int]:
    """The frames of a shot that are cleaned with care: every so many, and the last."""
    times = list(range(0, length, spacing))
    return times if times[-1] == length - 1 else [*times, length - 1]


def source_windows(
    shot: Shot, masks: Sequence[Path], config: SourceConfig, blend: BlendConfig
) -> Iterator[SourceWindow]:
    """For each of the shot's keyframes, in order, the frames that it is made from. What no later one needs is dropped.

    Large pictures take more memory: of those, fewer sources are kept.
    """
    length, spacing = len(shot), config.keyframe_spacing
    wanted = config.far_sources + 2 * config.reach // config.source_spacing
    share = min(1.0, config.memory_mb * 1e6 / (4 * shot.width * shot.height) / wanted)
    reach = max(round(share * config.reach), spacing)
    far_count = min(max(4, round(share * config.far_sources)), length)
    far_times = np.unique(np.linspace(0, length - 1, far_count).round().astype(int)).tolist()
    near_times = keyframe_times(length, config.source_spacing)
    # A short shot is kept whole; of a long one, the far sources are read by themselves.
    short = len({*near_times, *far_times}) <= share * wanted
    far = {} if short else {source.time: source for source in _read_sources(shot, masks, far_times, config, blend)}
    near: dict[int, Source] = {}
    holes: dict[int, Box | None] = {}
    read = _read_ahead(shot, masks, sorted({*near_times, *far_times}) if short else near_times, config, blend)
    for time in keyframe_times(length, spacing):
        while len(holes) == 0 or max(holes) < (length - 1 if short else min(time + reach, length - 1)):
            index, hole, source = next(read)
            holes[index] = hole
            if source is not None:
                near[index] = source
        near = near if short else {index: source for index, source in near.items() if index >= time - reach}
        holes = {index: hole for index, hole in holes.items() if index >= time - spacing}
        sources = [source for source in {**far, **near}.values() if source.time != time]
        nearest_first = sorted(sources, key=lambda source: abs(source.time - time))
        around = {index: hole for index, hole in holes.items() if index <= time + spacing}
        yield SourceWindow(near[time], tuple(nearest_first), around)


def _read_sources(
    shot: Shot,
    masks: Sequence[Path],
    times: Sequence[int],
    config: SourceConfig,
    blend: BlendConfig,
) -> Iterator[Source]:
    frames = zip(times, read_frames(shot, times), read_masks(masks, times), strict=True)
    yield from in_order(lambda frame: _source_of(*frame, config, blend), frames)


def _read_ahead(
    shot: Shot, masks: Sequence[Path], times: Sequence[int], config: SourceConfig, blend: BlendConfig
) -> Iterator[tuple[int, Box | None, Source | None]]:
    """Number and hole of every frame; the frame itself if it is one of those wanted as sources."""
    pictures = read_frames(shot, times)
    chosen = set(times)

    def read(
        frame: tuple[int, UInt8[np.ndarray, "height width 3"] | None, tuple[np.ndarray, ...]],
    ) -> tuple[int, Box | None, Source | None]:
        index, picture, people = frame
        hole = box_of(people[0] >= blend.mask_threshold, round((blend.growth + blend.growth_below) * shot.height))
        return index, hole, None if picture is None else _source_of(index, picture, people, config, blend)

    frames = (
        (index, next(pictures) if index in chosen else None, people) for index, people in enumerate(read_masks(masks))
    )
    yield from in_order(read, frames)


def _source_of(
    time: int,
    picture: UInt8[np.ndarray, "height width 3"],
    masks: Sequence[UInt8[np.ndarray, "height width"]],
    config: SourceConfig,
    blend: BlendConfig,
) -> Source:
    height, scale = picture.shape[0], scale_of(picture.shape[0])
    hole, others, *_ = holes_of(masks, blend)
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 3)
    clearance = np.minimum(np.ceil(distance), _MAX_CLEARANCE).astype(np.uint8) | (others.astype(np.uint8) * _OTHERS)
    free = (distance > config.min_clearance_px(height)) & ~others
    small_free = (reduced(free.astype(np.float32), scale) > 0.99).astype(np.float32)
    return Source(time, picture.copy(), clearance, reduced(picture, scale).astype(np.float32), small_free)
