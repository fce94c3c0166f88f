"""Footage on disk, and what was found in it."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from understudy.core.camera import CameraMoveKind, UnscaledCameraPath
from understudy.runtime.checks import check_shape

__all__ = ["LANDMARKS", "CameraSolution", "ColourSpace", "LandmarkTrack", "SetPoints", "Shot", "Sightings"]

LANDMARKS: tuple[str, ...] = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
"""The 33 body landmarks of BlazePose, in its order; left is the person's own left."""

ColourSpace = Literal["srgb", "rec709", "display-p3", "linear", "acescg", "aces2065-1", "cineon"]
"""How the pictures of a sequence store colour.

srgb, rec709: for a display; shown as they are.
display-p3: for a display of wide gamut.
linear: light, in BT.709's primaries; 1 is white.
acescg, aces2065-1: light, in the primaries AP1 and AP0.
cineon: the density of film, as scanners write it in 10 bits; code 95 is black, 685 white.
"""


@dataclass(frozen=True)
class Shot:
    """A range of frames of a video file or an image sequence; frames are read by `io.video.read_frames`."""

    path: Path
    """The video file; or the sequence's folder, pattern or first picture, as it was given."""
    width: int
    """Of the picture as it is shown (rotation metadata applied), in square pixels."""
    height: int
    frame_rate: Fraction
    """Average, or that of the sequence; exact."""
    timestamps: Int[np.ndarray, " frame"]
    """When each frame of the *range* is shown, in units of `time_base`, strictly increasing."""
    time_base: Fraction
    start_frame: int = 0
    """Index in the file of the range's first frame."""
    has_audio: bool = False
    has_timestamps: bool = True
    """Whether `timestamps` are the file's own; if not, frames are equally spaced and found by counting."""
    pictures: tuple[Path, ...] = ()
    """Of an image sequence, the file of each frame of the range; none for a video file."""
    colour_space: ColourSpace | None = None
    """What the user says that the pictures of a sequence store; None: what they say."""

    def __len__(self) -> int:
        return len(self.timestamps)

    def part(self, start: int, stop: int) -> "Shot":
        """Frames `start` … `stop` (excluded) of this range, as a shot."""
        return replace(
            self,
            timestamps=self.timestamps[start:stop],
            start_frame=self.start_frame + start,
            pictures=self.pictures[start:stop],
        )

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last one, in seconds."""
        return float((int(self.timestamps[-1]) - int(self.timestamps[0])) * self.time_base + 1 / self.frame_rate)


@dataclass(frozen=True)
class LandmarkTrack:
    """One person's landmarks through a shot. Where `seen` is false the values are interpolated."""

    landmarks_px: Float[np.ndarray, "time 33 2"]
    """In the full picture; the centre of the first pixel is (0.5, 0.5). May lie outside the picture."""
    visibility: Float[np.ndarray, "time 33"]
    """0 … 1: how sure the model is that the landmark is there and in sight."""
    landmarks_m: Float[np.ndarray, "time 33 3"]
    """The model's own guess in 3D: metres, hips at the origin, camera axes (+X right, +Y down, +Z away)."""
    seen: Bool[np.ndarray, " time"]
    """Whether the person was found in this frame."""

    def __post_init__(self) -> None:
        time = len(self.seen)
        check_shape("landmarks_px", self.landmarks_px, time, len(LANDMARKS), 2)
        check_shape("visibility", self.visibility, time, len(LANDMARKS))
        check_shape("landmarks_m", self.landmarks_m, time, len(LANDMARKS), 3)

    def __len__(self) -> int:
        return len(self.seen)


@dataclass(frozen=True)
class Sightings:
    """Which points of the set were seen in which frames, and where; sorted by point."""

    point: Int[np.ndarray, " sighting"] = field(default_factory=lambda: np.zeros(0, int))
    frame: Int[np.ndarray, " sighting"] = field(default_factory=lambda: np.zeros(0, int))
    xy_px: Float[np.ndarray, "sighting 2"] = field(default_factory=lambda: np.zeros((0, 2)))

    def __len__(self) -> int:
        return len(self.point)


@dataclass(frozen=True)
class SetPoints:
    """Sparse points of the set in the metric world."""

    position_m: Float[np.ndarray, "point 3"]
    colour: UInt8[np.ndarray, "point 3"]
    """sRGB."""
    sightings: Sightings


@dataclass(frozen=True)
class CameraSolution:
    """The camera as found in the picture alone: its world is the first camera (OpenCV axes), of unknown scale."""

    camera: UnscaledCameraPath
    """`T_world_camera[0]` is the identity; without parallax, positions are all zero."""
    move: CameraMoveKind
    points: Float[np.ndarray, "point 3"]
    """Sparse points of the set in the same world; empty without parallax."""
    residual_px: Float[np.ndarray, " time"]
    """Median distance of the set's tracked points from where the solved camera puts them."""
    notes: tuple[str, ...] = ()
    """What the user should know of how it was found: sentences."""
    sightings: Sightings = field(default_factory=Sightings)
    """Of `points`, those that the solution explains."""
