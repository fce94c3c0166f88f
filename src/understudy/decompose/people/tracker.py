"""Follows several people through a shot, frame by frame, and keeps them apart.

Each person is looked for where the frame before left them. What is found there is believed only if somebody is there,
at the expected place and size, in the same clothes, and if it is not another person who is being followed: a track
that loses its person ends or finds them again by detection, it never slides onto somebody else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.clothes import clothes_colours, colour_distance
from understudy.decompose.people.landmarks import Crop, Detection, Pose

__all__ = ["PersonTracker", "PoseFinder", "Sighting", "Track", "TrackerConfig"]

Picture = UInt8[np.ndarray, "height width 3"]

_TORSO = [LANDMARKS.index(name) for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")]
_COMPARED = (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_knee", "right_knee"))
_LEFT = [LANDMARKS.index(left) for left, _ in _COMPARED]
_RIGHT = [LANDMARKS.index(right) for _, right in _COMPARED]


@runtime_checkable
class PoseFinder(Protocol):
    """Finds people in a picture (`landmarks.PoseModel`)."""

    def detect(self, picture: Picture, window: Crop | None = None) -> list[Detection]:
        """The people in a square window of the picture."""

    def estimate(self, picture: Picture, crop: Crop) -> Pose:
        """The pose of the person in a crop."""


@dataclass(frozen=True)
class TrackerConfig:
    """How people are followed."""

    window_frames: int = 12
    """Every so many frames the whole picture is searched for people who are not followed yet."""
    fine_search_windows: int = 2
    """Every so many of those searches also use small tiles, for people far away."""
    max_people: int = 6
    """Followed at the same time; the largest count."""
    min_presence: float = 0.5
    """How sure the network must be, 0 … 1, to go on following somebody."""
    min_new_presence: float = 0.8
    """How sure it must be to begin with somebody new."""
    max_shared: float = 0.5
    """Share of somebody new's mask that people already followed may cover: a hand is not a person."""
    max_step: float = 0.3
    """How far a person may be from where they were expected, in sides of their crop."""
    max_resize: float = 1.6
    """By which factor a person may grow or shrink from one frame to the next."""
    max_colour_distance: float = 0.45
    """Hellinger distance of clothes beyond which it is somebody else."""
    same_person: float = 0.07
    """Mean distance of landmarks, in sides of the crop, below which two poses are of one person."""
    min_crop_px: float = 60.0
    """People whose crop is smaller are too far away to be followed."""


@dataclass(frozen=True)
class Sighting:
    """One person in one frame, without the pictures."""

    landmarks_px: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, "33"]
    landmarks_m: Float[np.ndarray, "33 3"]
    crop: Crop
    """Where the mask lies."""
    next_crop: Crop
    presence: float
    mask_key: int
    """What `keep_mask` returned."""


@dataclass(eq=False)
class Track:
    """One person over time."""

    colours: Float[np.ndarray, "part bin"]
    """What they wear, averaged."""
    sightings: dict[int, Sighting] = field(default_factory=dict)
    """By frame."""
    following: bool = True
    """Whether they were found in the latest frame."""
    last_frame: int = -1
    """The latest frame in which they were found."""
    last_pose: Pose | None = None
    """As found there."""


@dataclass(frozen=True)
class _Find:
    """A pose and the colours in it."""

    pose: Pose
    colours: Float[np.ndarray, "part bin"]


class PersonTracker:
    """Follows people through windows of consecutive frames; `tracks` holds everybody found so far."""

    def __init__(
        self,
        finder: PoseFinder,
        keep_mask: Callable[[Pose], int],
        read_again: Callable[[int, int], Sequence[Picture]],
        config: TrackerConfig | None = None,
    ) -> None:
        """`keep_mask` stores a pose's mask and gives a key; `read_again` gives earlier frames, from start to stop."""
        self.tracks: list[Track] = []
        self._finder = finder
        self._keep_mask = keep_mask
        self._read_again = read_again
        self._config = config or TrackerConfig()
        self._windows = 0

    def follow(self, pictures: Sequence[Picture], first_frame: int) -> None:
        """Take in the next frames of the shot (all of one window in memory)."""
        if self._windows == 0:
            self._search(pictures, first_frame, 0)
        for offset, picture in enumerate(pictures):
            self._step(picture, first_frame + offset)
        if first_frame + len(pictures) > 1:
            self._search(pictures, first_frame, len(pictures) - 1)
        self._windows += 1

    def _step(self, picture: Picture, frame: int) -> None:
        """Find everybody who is followed in the next frame."""
        followed = [track for track in self.tracks if track.following and frame not in track.sightings]
        finds = [self._look_for(picture, track, _expected_crop(track, frame)) for track in followed]
        self._settle_conflicts(followed, finds, frame)
        for track, find in zip(followed, finds, strict=True):
            others = [t.sightings[frame] for t in self.tracks if frame in t.sightings]
            if find is None:
                find = self._detect_again(picture, track, frame, others)
            if find is None:
                track.following = False
            else:
                self._add(track, frame, find)

    def _look_for(self, picture: Picture, track: Track, crop: Crop) -> _Find | None:
        """The track's person in a crop, if it is them."""
        find = self._estimate(picture, crop)
        return find if find is not None and self._is_them(track, find, crop, self._config.max_step) else None

    def _estimate(self, picture: Picture, crop: Crop) -> _Find | None:
        """Somebody in a crop, if anybody is there."""
        pose = self._finder.estimate(picture, crop)
        height, width = picture.shape[:2]
        hips = pose.next_crop.centre_px
        reach = 0.25 * pose.next_crop.size_px
        inside = -reach < hips[0] < width + reach and -reach < hips[1] < height + reach
        if pose.presence < self._config.min_presence or pose.next_crop.size_px < self._config.min_crop_px or not inside:
            return None
        M = crop.crop_from_picture()
        colours = clothes_colours(pose.patch, pose.mask, pose.landmarks_px @ M[:, :2].T + M[:, 2])
        return _Find(pose, colours)

    def _is_them(self, track: Track, find: _Find, expected: Crop, max_step: float) -> bool:
        found = find.pose.next_crop
        step = np.hypot(*(found.centre_px - expected.centre_px)) / expected.size_px
        resize = found.size_px / expected.size_px
        fits = step <= max_step and 1 / self._config.max_resize <= resize <= self._config.max_resize
        return bool(fits) and colour_distance(track.colours, find.colours) <= self._config.max_colour_distance

    def _settle_conflicts(self, tracks: list[Track], finds: list[_Find | None], frame: int) -> None:
        """Where two tracks found the same person, leave them to the one whose clothes and place fit better."""
        for i in range(len(tracks)):
            for j in range(i):
                first, second = finds[i], finds[j]
                if first is None or second is None or not self._is_same(first.pose, second.pose):
                    continue
                worse = i if self._misfit(tracks[i], first, frame) > self._misfit(tracks[j], second, frame) else j
                finds[worse] = None

    def _misfit(self, track: Track, find: _Find, frame: int) -> float:
        expected = _expected_crop(track, frame)
        step = np.hypot(*(find.pose.next_crop.centre_px - expected.centre_px)) / expected.size_px
        return float(step + colour_distance(track.colours, find.colours))

    def _is_same(self, first: Pose | Sighting, second: Pose | Sighting) -> bool:
        size = max(first.next_crop.size_px, second.next_crop.size_px)
        straight = _mean_distance(first.landmarks_px, second.landmarks_px)
        return bool(straight < self._config.same_person * size)

    def _detect_again(
        self, picture: Picture, track: Track, frame: int, others: Sequence[Sighting], reach: float = 0.3
    ) -> _Find | None:
        """The track's person by detection near where they were, but nobody whom another track has found."""
        expected = _expected_crop(track, frame)
        window = Crop(expected.centre_px, 2.0 * expected.size_px, 0.0)
        best, least = None, np.inf
        for detection in self._finder.detect(picture, window):
            find = self._settle(picture, detection.crop)
            if find is None or any(self._is_same(find.pose, other) for other in others):
                continue
            distance = colour_distance(track.colours, find.colours)
            if distance < least and self._is_them(track, find, expected, reach):
                best, least = find, distance
        return best

    def _settle(self, picture: Picture, crop: Crop) -> _Find | None:
        """Somebody in a detector's crop. The landmarks give a better crop than the detector, and again a better one;
        on a person this converges, on a rock it wanders."""
        first = self._finder.estimate(picture, crop)
        if first.presence < 0.05:
            return None
        second = self._finder.estimate(picture, first.next_crop)
        if second.presence < self._config.min_presence:
            return None
        find = self._estimate(picture, second.next_crop)
        if find is None or find.pose.presence < self._config.min_new_presence:
            return None
        before, after = find.pose.crop, find.pose.next_crop
        steady = np.hypot(*(before.centre_px - after.centre_px)) < 0.1 * after.size_px
        steady &= abs(np.log(before.size_px / after.size_px)) < 0.2
        return find if steady and find.pose.visibility[_TORSO].mean() > 0.5 and _covers_trunk(find.pose) else None

    def _search(self, pictures: Sequence[Picture], first_frame: int, offset: int) -> None:
        """Search one whole frame of a window for people who are not followed, and trace them back through it."""
        picture, frame = pictures[offset], first_frame + offset
        fine = self._windows % self._config.fine_search_windows == 0 or not any(t.following for t in self.tracks)
        for find in self._everybody(picture, frame, fine):
            if not self._make_room(find):
                continue
            lost = [t for t in self.tracks if not t.following and self._may_return(t, find, frame)]
            track = min(lost, key=lambda t: colour_distance(t.colours, find.colours), default=None)
            if track is None:
                track = Track(find.colours)
                self.tracks.append(track)
            self._add(track, frame, find)
            track.following = True
            self._trace_back(track, pictures, first_frame, offset)

    def _everybody(self, picture: Picture, frame: int, fine: bool) -> list[_Find]:
        """Those in a frame whom no track has, largest first."""
        known = [track.last_pose for track in self.tracks if track.last_frame == frame and track.last_pose]
        finds: list[_Find] = []
        looked_at: list[Crop] = [pose.next_crop for pose in known]
        for tile in _tiles(picture.shape[1], picture.shape[0], fine):
            for detection in self._finder.detect(picture, tile):
                if any(_is_near(detection.crop, crop) for crop in looked_at):
                    continue
                looked_at.append(detection.crop)
                find = self._settle(picture, detection.crop)
                if find is None:
                    continue
                others = [*known, *(other.pose for other in finds)]
                shared = max((_shared(find.pose, other) for other in others), default=0.0)
                if shared <= self._config.max_shared and not any(self._is_same(find.pose, other) for other in others):
                    finds.append(find)
        return sorted(finds, key=lambda find: -find.pose.next_crop.size_px)

    def _may_return(self, track: Track, find: _Find, frame: int) -> bool:
        """Whether somebody may be a lost person: the longer they were away, the further they may have gone."""
        away = frame - track.last_frame
        expected = track.sightings[track.last_frame].next_crop
        step = np.hypot(*(find.pose.next_crop.centre_px - expected.centre_px)) / expected.size_px
        resize = abs(np.log(find.pose.next_crop.size_px / expected.size_px))
        alike = colour_distance(track.colours, find.colours) <= 0.7 * self._config.max_colour_distance
        return bool(away > 0 and alike and step < 0.2 + 0.04 * away and resize < 0.3 + 0.02 * away)

    def _make_room(self, find: _Find) -> bool:
        """Whether a new person is followed; when too many are, a much smaller one is given up."""
        followed = [track for track in self.tracks if track.following]
        if len(followed) < self._config.max_people:
            return True
        smallest = min(followed, key=lambda track: track.sightings[track.last_frame].next_crop.size_px)
        if find.pose.next_crop.size_px < 1.3 * smallest.sightings[smallest.last_frame].next_crop.size_px:
            return False
        smallest.following = False
        return True

    def _trace_back(self, track: Track, pictures: Sequence[Picture], first_frame: int, offset: int) -> None:
        """Follow a newly found person back in time, until they are lost or were known before."""
        while True:
            for earlier in reversed(range(offset)):
                if not self._step_back(track, pictures[earlier], first_frame + earlier):
                    return
            if first_frame == 0:
                return
            start = max(first_frame - self._config.window_frames, 0)
            pictures, first_frame, offset = self._read_again(start, first_frame), start, first_frame - start

    def _step_back(self, track: Track, picture: Picture, frame: int) -> bool:
        if frame in track.sightings:
            return False
        find = self._look_for(picture, track, _expected_crop(track, frame))
        others = [t.sightings[frame] for t in self.tracks if frame in t.sightings]
        if find is None or any(self._is_same(find.pose, other) for other in others):
            return False
        self._add(track, frame, find)
        return True

    def _add(self, track: Track, frame: int, find: _Find) -> None:
        pose = find.pose
        others = [t.sightings[frame] for t in self.tracks if frame in t.sightings]
        alone = not any(_is_near(pose.next_crop, other.next_crop) for other in others)
        if alone:  # beside somebody else the colours may be theirs
            rate = max(0.05, 1.0 / (len(track.sightings) + 1))
            visible = find.colours.sum(1, keepdims=True) > 0
            unknown = track.colours.sum(1, keepdims=True) == 0
            mixed = (1 - rate) * track.colours + rate * find.colours
            track.colours = np.where(visible, np.where(unknown, find.colours, mixed), track.colours)
        if frame >= track.last_frame:
            track.last_frame, track.last_pose = frame, pose
        track.sightings[frame] = Sighting(
            landmarks_px=pose.landmarks_px,
            visibility=pose.visibility,
            landmarks_m=pose.landmarks_m,
            crop=pose.crop,
            next_crop=pose.next_crop,
            presence=pose.presence,
            mask_key=self._keep_mask(pose),
        )


def _expected_crop(track: Track, frame: int) -> Crop:
    """Where to look for a person: where the nearest frame left them, moved on by half of their last step.

    A frame before the latest one is looked at only when tracing back, right before a known one.
    """
    step = 1 if frame > track.last_frame else -1
    nearest = track.last_frame if step > 0 else frame + 1
    crop = track.sightings[nearest].next_crop
    before = track.sightings.get(nearest - step)
    if before is None or abs(frame - nearest) != 1:
        return crop
    moved = crop.centre_px - before.next_crop.centre_px
    return Crop(crop.centre_px + 0.5 * moved, crop.size_px, crop.angle)


def _mean_distance(first: Float[np.ndarray, "33 2"], second: Float[np.ndarray, "33 2"]) -> float:
    """Mean distance of shoulders, hips and knees, whichever way round the second has its left and right."""
    a = first[_LEFT + _RIGHT]
    straight = np.hypot(*(a - second[_LEFT + _RIGHT]).T).mean()
    mirrored = np.hypot(*(a - second[_RIGHT + _LEFT]).T).mean()
    return float(min(straight, mirrored))


def _covers_trunk(pose: Pose) -> bool:
    """Whether the mask lies where shoulders and hips are, as far as these are in the crop."""
    M = pose.crop.crop_from_picture()
    columns, rows = np.floor(pose.landmarks_px[_TORSO] @ M[:, :2].T + M[:, 2]).astype(int).T
    size = len(pose.mask)
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    return bool(inside.any() and np.median(pose.mask[rows[inside], columns[inside]]) > 127)


def _shared(new: Pose, known: Pose) -> float:
    """The share of a new person's mask that a known person's mask covers."""
    rows, columns = np.nonzero(new.mask[::4, ::4] > 127)
    if not len(rows):
        return 1.0
    to_picture, to_known = new.crop.picture_from_crop(), known.crop.crop_from_picture()
    points = np.column_stack([columns, rows]) * 4 + 0.5
    points = (points @ to_picture[:, :2].T + to_picture[:, 2]) @ to_known[:, :2].T + to_known[:, 2]
    columns, rows = np.floor(points).astype(int).T
    size = len(known.mask)
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    return float((known.mask[rows[inside], columns[inside]] > 127).sum() / len(points))


def _is_near(first: Crop, second: Crop) -> bool:
    """Whether two crops probably show the same person."""
    size = min(first.size_px, second.size_px)
    resize = max(first.size_px, second.size_px) / size
    return bool(np.hypot(*(first.centre_px - second.centre_px)) < 0.15 * size and resize < 1.5)


def _tiles(width: int, height: int, fine: bool) -> list[Crop]:
    """Square windows over a picture: all of it, squares of its shorter side, and, if fine, of half of that."""
    long, short = max(width, height), min(width, height)
    tiles = [Crop(np.array([width / 2, height / 2]), float(long), 0.0)]
    for side in [short] + ([short / 2] if fine else []):
        counts = [int(np.ceil((extent - side) / (0.6 * side))) + 1 for extent in (width, height)]
        xs, ys = (
            np.linspace(side / 2, extent - side / 2, n) for extent, n in zip((width, height), counts, strict=True)
        )
        tiles += [Crop(np.array([x, y]), float(side), 0.0) for y in ys for x in xs]
    return tiles
