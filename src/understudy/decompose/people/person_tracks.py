"""The people who are followed through a shot: values, and the steps that make new ones of them.

`predict` says where a track's person will be, `is_them` and `resolve_conflicts` match candidates to tracks,
`with_candidate` takes a candidate into a track. Nothing is changed in place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.clothes import colour_distance
from understudy.decompose.people.landmarks import Crop, PoseEstimate
from understudy.runtime.checks import check_options

__all__ = [
    "Candidate",
    "MatchConfig",
    "Observation",
    "Track",
    "is_near",
    "is_same",
    "is_them",
    "may_return",
    "observations_in",
    "predict",
    "resolve_conflicts",
    "with_candidate",
]

_COMPARED = (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_knee", "right_knee"))
_LEFT = [LANDMARKS.index(left) for left, _ in _COMPARED]
_RIGHT = [LANDMARKS.index(right) for _, right in _COMPARED]

PREDICTED_STEP = 0.5
"""Of a person's last step, that they are expected to do again: all of it overshoots where somebody stops or turns."""
NEAR_DISTANCE, NEAR_RESIZE = 0.15, 1.5
"""Sides of the smaller crop between the centres of two crops, and the factor between their sizes, below which they
probably show the same person: a third of shoulder-to-hip, and less than from a child to an adult."""
MIN_COLOUR_RATE = 0.05
"""Share of the newest frame in a track's colours: the light on a person changes over about twenty frames."""
RETURN_COLOURS = 0.7
"""Of `max_colour_distance`, that somebody may differ from a lost person to be them: stricter, because the place says
less."""
RETURN_STEP, RETURN_SPEED = 0.2, 0.04
"""Sides of the crop that a lost person may be from where they were seen last, at once and more for each frame away: a
walk of three body heights in two seconds."""
RETURN_RESIZE, RETURN_RESIZE_SPEED = 0.3, 0.02
"""The same of the logarithm of their size."""


@dataclass(frozen=True)
class MatchConfig:
    """When somebody in a frame is the person of a track."""

    max_step: float = 0.3
    """How far a person may be from where they were expected, in sides of their crop."""
    max_resize: float = 1.6
    """By which factor a person may grow or shrink from one frame to the next."""
    max_colour_distance: float = 0.45
    """Hellinger distance of clothes beyond which it is somebody else."""
    same_person: float = 0.07
    """Mean distance of landmarks, in sides of the crop, below which two estimates are of one person."""

    def __post_init__(self) -> None:
        check_options(self, max_step=(0, 10), max_resize=(1, 100), max_colour_distance=(0, 10), same_person=(0, 10))


@dataclass(frozen=True)
class Candidate:
    """Somebody in a frame, who may be one of those who are followed."""

    estimate: PoseEstimate
    colours: Float[np.ndarray, "part bin"]
    """What they wear."""


@dataclass(frozen=True)
class Observation:
    """One person in one frame, without the pictures."""

    landmarks_px: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, "33"]
    landmarks_m: Float[np.ndarray, "33 3"]
    crop: Crop
    """Where the mask lies."""
    next_crop: Crop
    """Where the person was."""
    presence: float
    mask_key: int
    """Of the mask, in the `MaskStore`."""


@dataclass(frozen=True, eq=False)
class Track:
    """One person over time."""

    colours: Float[np.ndarray, "part bin"]
    """What they wear, averaged."""
    observations: Mapping[int, Observation] = field(default_factory=dict)
    """By frame."""
    following: bool = True
    """Whether they were found in the latest frame."""
    last_frame: int = -1
    """The latest frame in which they were found."""
    last_estimate: PoseEstimate | None = None
    """As found there."""

    @property
    def last(self) -> Observation:
        """The person where they were found last."""
        return self.observations[self.last_frame]


def observations_in(tracks: Sequence[Track], frame: int) -> list[Observation]:
    """Everybody who was found in a frame."""
    return [track.observations[frame] for track in tracks if frame in track.observations]


def predict(track: Track, frame: int) -> Crop:
    """Where to look for a person: where the nearest frame left them, moved on by a part of their last step.

    A frame before the latest one is looked at only when tracing back, right before a known one.
    """
    step = 1 if frame > track.last_frame else -1
    nearest = track.last_frame if step > 0 else frame + 1
    crop = track.observations[nearest].next_crop
    before = track.observations.get(nearest - step)
    if before is None or abs(frame - nearest) != 1:
        return crop
    moved = crop.centre_px - before.next_crop.centre_px
    return Crop(crop.centre_px + PREDICTED_STEP * moved, crop.size_px, crop.angle)


def is_them(track: Track, candidate: Candidate, expected: Crop, config: MatchConfig) -> bool:
    """Whether a candidate is at the expected place, of the expected size, and dressed like a track's person."""
    found = candidate.estimate.next_crop
    step = np.hypot(*(found.centre_px - expected.centre_px)) / expected.size_px
    resize = found.size_px / expected.size_px
    fits = step <= config.max_step and 1 / config.max_resize <= resize <= config.max_resize
    return bool(fits) and colour_distance(track.colours, candidate.colours) <= config.max_colour_distance


def resolve_conflicts(
    tracks: Sequence[Track], candidates: Sequence[Candidate | None], frame: int, config: MatchConfig
) -> list[Candidate | None]:
    """The candidate of each track; where two are the same person, whose clothes and place fit better keeps them."""
    kept = list(candidates)
    for i in range(len(tracks)):
        for j in range(i):
            first, second = kept[i], kept[j]
            if first is None or second is None or not is_same(first.estimate, second.estimate, config):
                continue
            worse = i if _misfit(tracks[i], first, frame) > _misfit(tracks[j], second, frame) else j
            kept[worse] = None
    return kept


def _misfit(track: Track, candidate: Candidate, frame: int) -> float:
    """Distance from the expected place in sides of the crop, plus distance of the clothes."""
    expected = predict(track, frame)
    step = np.hypot(*(candidate.estimate.next_crop.centre_px - expected.centre_px)) / expected.size_px
    return float(step + colour_distance(track.colours, candidate.colours))


def may_return(track: Track, candidate: Candidate, frame: int, config: MatchConfig) -> bool:
    """Whether somebody may be a lost person: the longer they were away, the further they may have gone."""
    away = frame - track.last_frame
    found, expected = candidate.estimate.next_crop, track.last.next_crop
    step = np.hypot(*(found.centre_px - expected.centre_px)) / expected.size_px
    resize = abs(np.log(found.size_px / expected.size_px))
    alike = colour_distance(track.colours, candidate.colours) <= RETURN_COLOURS * config.max_colour_distance
    near = step < RETURN_STEP + RETURN_SPEED * away and resize < RETURN_RESIZE + RETURN_RESIZE_SPEED * away
    return bool(away > 0 and alike and near)


def is_same(first: PoseEstimate | Observation, second: PoseEstimate | Observation, config: MatchConfig) -> bool:
    """Whether two estimates in one frame are of one person: by shoulders, hips and knees, whichever way round the
    second has its left and right."""
    a, b = first.landmarks_px[_LEFT + _RIGHT], second.landmarks_px
    straight = np.hypot(*(a - b[_LEFT + _RIGHT]).T).mean()
    mirrored = np.hypot(*(a - b[_RIGHT + _LEFT]).T).mean()
    size = max(first.next_crop.size_px, second.next_crop.size_px)
    return bool(min(straight, mirrored) < config.same_person * size)


def is_near(first: Crop, second: Crop) -> bool:
    """Whether two crops probably show the same person."""
    size = min(first.size_px, second.size_px)
    resize = max(first.size_px, second.size_px) / size
    return bool(np.hypot(*(first.centre_px - second.centre_px)) < NEAR_DISTANCE * size and resize < NEAR_RESIZE)


def with_candidate(
    track: Track,
    candidate: Candidate,
    frame: int,
    others: Sequence[Observation],
    keep_mask: Callable[[PoseEstimate], int],
) -> Track:
    """A track with its person in one more frame, in which `others` were found; `keep_mask` gives the mask's key."""
    estimate = candidate.estimate
    alone = not any(is_near(estimate.next_crop, other.next_crop) for other in others)
    latest = frame >= track.last_frame
    observation = Observation(
        landmarks_px=estimate.landmarks_px,
        visibility=estimate.visibility,
        landmarks_m=estimate.landmarks_m,
        crop=estimate.crop,
        next_crop=estimate.next_crop,
        presence=estimate.presence,
        mask_key=keep_mask(estimate),
    )
    return replace(
        track,
        # Beside somebody else the colours may be theirs.
        colours=_mixed_colours(track, candidate) if alone else track.colours,
        observations={**track.observations, frame: observation},
        last_frame=frame if latest else track.last_frame,
        last_estimate=estimate if latest else track.last_estimate,
    )


def _mixed_colours(track: Track, candidate: Candidate) -> Float[np.ndarray, "part bin"]:
    """A track's colours with those of one more frame; of a part that it has not shown yet, the frame's alone."""
    rate = max(MIN_COLOUR_RATE, 1.0 / (len(track.observations) + 1))
    visible = candidate.colours.sum(1, keepdims=True) > 0
    unknown = track.colours.sum(1, keepdims=True) == 0
    mixed = (1 - rate) * track.colours + rate * candidate.colours
    return np.where(visible, np.where(unknown, candidate.colours, mixed), track.colours)
