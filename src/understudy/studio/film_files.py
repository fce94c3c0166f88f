"""What stages leave for each other in the film's folder, where no public format fits."""

import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import numpy as np
from jaxtyping import Bool, Float
from pydantic import ConfigDict, Field

from understudy.core.camera import CameraMoveKind, UnscaledCameraPath
from understudy.core.environment import Light
from understudy.core.footage import CameraSolution, Sightings
from understudy.io.arrays import read_arrays, write_arrays
from understudy.io.files import reading
from understudy.io.records import Record, read_record
from understudy.runtime.checks import check_finite, check_shape
from understudy.runtime.errors import FileFormatError, printable, quoted

__all__ = [
    "CUTS",
    "FIT",
    "FIT_ARRAYS",
    "LIGHT",
    "PRESENCE",
    "SOLUTION",
    "SOLUTION_ARRAYS",
    "BodyFit",
    "CutList",
    "CutsRecord",
    "LightRecord",
    "Presence",
    "PresenceRecord",
    "load_cuts",
    "load_fit",
    "load_light",
    "load_presence",
    "load_solution",
    "save_cuts",
    "save_fit",
    "save_light",
    "save_presence",
    "save_solution",
]

SOLUTION = "understudy camera solution 1"
SIGHTING_ARRAYS = {
    "sighting_point": "sighting: which point of the set was seen, rising; 32-bit whole numbers",
    "sighting_frame": "sighting: in which frame; 32-bit whole numbers",
    "sighting_px": "sighting 2: where in the picture, pixels, right and down; 32-bit numbers",
}
SOLUTION_ARRAYS = {
    "T_world_camera": "time 4 4: camera points to the solution's world, which is the first camera; of unknown scale",
    "K": "time 3 3: intrinsics in pixels",
    "size_px": "2: width and height of the picture, pixels",
    "frame_rate": "2: numerator and denominator, frames per second",
    "move": ": static, rotation or parallax; text",
    "points": "point 3: sparse points of the set in the solution's world; none without parallax",
    "residual_px": "time: median distance of the set's tracked points from where the solution puts them, pixels",
    "notes": "note: what the user should know of how it was found; text",
    **SIGHTING_ARRAYS,
}
"""The arrays of a camera solution, with their axes."""
FIT = "understudy body fit 1"
FIT_ARRAYS = {
    "reprojection_px": "time: distance of the body's landmarks from the picture's, pixels; NaN where nobody was seen",
    "ground_contact": "time 2: when the left and the right foot stand, true or false",
    "T_world_solution": "4 4: the camera solution's points to the metric world, a similarity",
}
"""The arrays of a body fit, with their axes."""
LIGHT, PRESENCE, CUTS = "understudy light 1", "understudy presence 1", "understudy cuts 1"
"""What our JSON says that it is; files from before it said so are of version 1."""
_MAX_BYTES = 1 << 20
_MAX_CUTS_BYTES = 4 << 20
_Irradiance = Annotated[float, Field(ge=0, le=1e6)]


def save_solution(path: Path, solution: CameraSolution) -> None:
    """Write the camera as found in the picture."""
    camera = solution.camera
    arrays = (
        camera.T_world_camera,
        camera.K,
        np.array([camera.width, camera.height]),
        np.array([camera.frame_rate.numerator, camera.frame_rate.denominator]),
        np.array(solution.move),
        solution.points,
        solution.residual_px,
        np.array(solution.notes, dtype=np.str_),
    )
    seen = solution.sightings
    sightings = (seen.point.astype(np.int32), seen.frame.astype(np.int32), seen.xy_px.astype(np.float32))
    write_arrays(path, SOLUTION, dict(zip(SOLUTION_ARRAYS, (*arrays, *sightings), strict=True)))


def load_solution(path: Path) -> CameraSolution:
    """Read what `save_solution` wrote.

    Raises:
        FileFormatError: no such table, or its arrays are no camera of so many frames.
    """
    arrays = read_arrays(path, SOLUTION, tuple(SOLUTION_ARRAYS))
    with reading(path, "camera solution", advice="delete it to have it made again"):
        T, K, points, residual_px = (
            arrays[name].astype(np.float64) for name in ("T_world_camera", "K", "points", "residual_px")
        )
        (width, height), (numerator, denominator) = arrays["size_px"].tolist(), arrays["frame_rate"].tolist()
        check_shape("T_world_camera", T, None, 4, 4)
        check_shape("points", points, None, 3)
        check_finite("points", points)
        check_shape("residual_px", residual_px, len(T))
        move, notes = str(arrays["move"]), tuple(printable(note) for note in arrays["notes"])
        if move not in get_args(CameraMoveKind):
            raise ValueError(f"its move is {quoted(move)}; expected {', '.join(get_args(CameraMoveKind))}")
        camera = UnscaledCameraPath(T, K, int(width), int(height), Fraction(int(numerator), int(denominator)))
        seen = sightings_from(arrays, len(points), len(camera))
        return CameraSolution(camera, cast(CameraMoveKind, move), points, residual_px, notes, seen)


def sightings_from(arrays: dict[str, np.ndarray], points: int, frames: int) -> Sightings:
    """The points' sightings, if they are of so many points and frames.

    Raises:
        ValueError: they are not.
    """
    point, frame, xy_px = (arrays[name] for name in SIGHTING_ARRAYS)
    if point.dtype.kind != "i" or frame.dtype.kind != "i":
        raise ValueError("its sightings are not numbered")
    xy_px = xy_px.astype(np.float64)
    check_shape("sighting_px", xy_px, None, 2)
    check_finite("sighting_px", xy_px)
    for name, numbers, count in (("point", point, points), ("frame", frame, frames)):
        check_shape(f"sighting_{name}", numbers, len(xy_px))
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < count:
            raise ValueError(f"a sighting is of a {name} that is not there")
    if (np.diff(point) < 0).any():
        raise ValueError("its sightings are not sorted by point")
    return Sightings(point, frame, xy_px)


@dataclass(frozen=True)
class BodyFit:
    """What is known of a fitted body besides its motion."""

    reprojection_px: Float[np.ndarray, " time"]
    """How near the body came to its landmarks; NaN where nobody was seen."""
    ground_contact: Bool[np.ndarray, "time 2"]
    """When the left and the right foot stand."""
    T_world_solution: Float[np.ndarray, "4 4"]
    """Brings the points of the camera's solution into the metric world: a similarity."""

    def __post_init__(self) -> None:
        check_shape("ground_contact", self.ground_contact, len(self.reprojection_px), 2)

    def __len__(self) -> int:
        return len(self.reprojection_px)


def save_fit(path: Path, fit: BodyFit) -> None:
    """Write a body fit."""
    write_arrays(path, FIT, dict(vars(fit)))


def load_fit(path: Path) -> BodyFit:
    """Read what `save_fit` wrote.

    Raises:
        FileFormatError: no such table, or its arrays do not fit together.
    """
    arrays = read_arrays(path, FIT, tuple(FIT_ARRAYS))
    with reading(path, "table of a body fit", advice="delete it to have it made again"):
        reprojection_px, contact = arrays["reprojection_px"].astype(np.float64), arrays["ground_contact"].astype(bool)
        T_world_solution = arrays["T_world_solution"].astype(np.float64)
        check_shape("reprojection_px", reprojection_px, None)
        check_shape("T_world_solution", T_world_solution, 4, 4)
        check_finite("T_world_solution", T_world_solution)
        return BodyFit(reprojection_px, contact, T_world_solution)


@dataclass(frozen=True)
class CutList:
    """Where the cuts of a shot begin."""

    starts: tuple[int, ...]
    """The first frame of each cut, counted from 0."""
    first_frame: int
    """The number of the shot's first frame, for people."""


class CutsRecord(Record):
    """A `CutList`, as it stands in a file."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    format: Literal["understudy cuts 1"] = CUTS
    """What the file is, with its version."""
    first_frame: int
    """The number of the shot's first frame."""
    first_frames: list[int]
    """The number of each cut's first frame."""


def save_cuts(path: Path, cuts: CutList) -> None:
    """Write where cuts begin as JSON that a person can edit."""
    first = cuts.first_frame
    content = {"format": CUTS, "first_frame": first, "first_frames": [first + start for start in cuts.starts]}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def load_cuts(path: Path, frames: int) -> CutList:
    """Read where cuts begin, as found or as the user has corrected it.

    Raises:
        FileFormatError: it is no list of rising frames, or the shot has no such frames.
    """
    record = read_record(path, CutsRecord, "list of cuts", _MAX_CUTS_BYTES)
    first, starts = record.first_frame, record.first_frames
    if not starts or starts[0] != first or any(b - a < 2 for a, b in pairwise([*starts, first + frames])):
        raise FileFormatError(
            f"{quoted(path)} says that cuts start at {quoted(starts)[1:-1]}; expected {quoted(first)[1:-1]} and rising"
            f" numbers below {quoted(first + frames)[1:-1]}, two apart at least"
        )
    return CutList(tuple(start - first for start in starts), first)


@dataclass(frozen=True)
class Presence:
    """In which frames of a cut an actor is there."""

    present: Bool[np.ndarray, " time"]
    first_frame: int
    """The number of the cut's first frame, for people."""


class PresenceRecord(Record):
    """A `Presence`, as it stands in a file."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    format: Literal["understudy presence 1"] = PRESENCE
    """What the file is, with its version."""
    first_frame: int
    """The number of the cut's first frame."""
    present: list[tuple[int, int]]
    """The first and the last frame of each stretch in which the actor is there."""


def save_presence(path: Path, presence: Presence) -> None:
    """Write when an actor is there as JSON that a person can edit."""
    present, first_frame = presence.present, presence.first_frame
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
    stretches = [[first_frame + int(first), first_frame + int(end) - 1] for first, end in edges.reshape(-1, 2)]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"format": PRESENCE, "first_frame": first_frame, "present": stretches}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def load_presence(path: Path, frames: int) -> Presence:
    """Read in which of a cut's frames its actor is there.

    Raises:
        FileFormatError: it is no list of frames, the shot has no such frames, or it names none.
    """
    record = read_record(path, PresenceRecord, "list of frames", _MAX_BYTES)
    start, end = record.first_frame, record.first_frame + frames
    present = np.zeros(frames, bool)
    for first, last in record.present:
        if not start <= first <= last < end:
            raise FileFormatError(
                f"{quoted(path)} says that the actor is there from frame {first} to {last}; give frames from {start} to"
                f" {end - 1}, or delete it to have ours back"
            )
        present[first - start : last - start + 1] = True
    if not present.any():
        raise FileFormatError(f"{quoted(path)} names no frame; expected one at least: delete it to have ours back")
    return Presence(present, start)


def save_light(path: Path, light: Light) -> None:
    """Write a light as JSON that a person can edit."""
    content: dict[str, Any] = {"format": LIGHT}
    content |= {name: value.tolist() for name, value in asdict(light).items() if name != "key_angle_rad"}
    content["key_angle_deg"] = round(math.degrees(light.key_angle_rad), 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


class LightRecord(Record):
    """A `Light`, as it stands in a file."""

    # A misspelt name would be left out unnoticed.
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    format: Literal["understudy light 1"] = LIGHT
    """What the file is, with its version."""
    key_direction: tuple[float, float, float]
    """From the scene towards the key light, in the world: +Y up. Of any length."""
    key_colour: tuple[_Irradiance, _Irradiance, _Irradiance]
    """Irradiance on a surface that faces the key: red, green, blue, linear; by 1 a white matt surface has colour 1."""
    fill_sky: tuple[_Irradiance, _Irradiance, _Irradiance]
    """Irradiance from above, in the same unit."""
    fill_ground: tuple[_Irradiance, _Irradiance, _Irradiance]
    """Irradiance from below, in the same unit."""
    key_angle_deg: Annotated[float, Field(ge=0, lt=90)]
    """Angular radius of the key in degrees: how soft its shadows are."""


def load_light(path: Path) -> Light:
    """Read a light; the direction of its key may have any length.

    Raises:
        FileFormatError: a value is missing or no finite number, or the key has no direction.
    """
    light = read_record(path, LightRecord, "light", _MAX_BYTES)
    direction = np.array(light.key_direction)
    # Scaled first: the squares of very long and very short directions are no numbers.
    direction = direction / (np.abs(direction).max() or 1.0)
    length = float(np.linalg.norm(direction))
    if not 0 < length < math.inf:
        raise FileFormatError(f"{quoted(path)} is no light that can be used (key_direction says no direction)")
    key, sky, ground = (np.array(colour) for colour in (light.key_colour, light.fill_sky, light.fill_ground))
    return Light(direction / length, key, sky, ground, math.radians(light.key_angle_deg))
