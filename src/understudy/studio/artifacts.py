"""What stages leave for each other in the film's folder, where no public format fits."""

import json
import math
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.core.camera import CameraPath
from understudy.core.environment import Light
from understudy.core.errors import FileFormatError, quoted
from understudy.core.footage import CameraSolution
from understudy.io.arrays import read_arrays, write_arrays
from understudy.io.records import Record, read_record

__all__ = [
    "load_fit",
    "load_light",
    "load_presence",
    "load_solution",
    "save_fit",
    "save_light",
    "save_presence",
    "save_solution",
]

_SOLUTION = "understudy camera solution 1"
_SOLUTION_ARRAYS = ("T_world_camera", "K", "size_px", "frame_rate", "move", "points", "residual_px", "notes")
_FIT = "understudy body fit 1"
_MOST_BYTES = 1 << 20


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
    write_arrays(path, _SOLUTION, dict(zip(_SOLUTION_ARRAYS, arrays, strict=True)))


def load_solution(path: Path) -> CameraSolution:
    """Read what `save_solution` wrote."""
    T, K, size_px, rate, move, points, residual_px, notes = read_arrays(path, _SOLUTION, _SOLUTION_ARRAYS).values()
    camera = CameraPath(T, K, int(size_px[0]), int(size_px[1]), Fraction(int(rate[0]), int(rate[1])))
    return CameraSolution(camera, str(move), points, residual_px, tuple(str(note) for note in notes))


def save_fit(
    path: Path, reprojection_px: Float[np.ndarray, " time"], ground_contact: Bool[np.ndarray, "time 2"]
) -> None:
    """Write how near the body came to its landmarks, and when its feet stand."""
    write_arrays(path, _FIT, {"reprojection_px": reprojection_px, "ground_contact": ground_contact})


def load_fit(path: Path) -> tuple[Float[np.ndarray, " time"], Bool[np.ndarray, "time 2"]]:
    """Read what `save_fit` wrote."""
    arrays = read_arrays(path, _FIT, ("reprojection_px", "ground_contact"))
    return arrays["reprojection_px"], arrays["ground_contact"].astype(bool)


class _Presence(Record):
    present: list[tuple[int, int]]
    """The first and the last frame of each stretch in which the actor is there, counted from 0."""


def save_presence(path: Path, present: Bool[np.ndarray, " time"]) -> None:
    """Write when an actor is there as JSON that a person can edit."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
    stretches = [[int(first), int(end) - 1] for first, end in edges.reshape(-1, 2)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"present": stretches}) + "\n", encoding="utf-8")


def load_presence(path: Path, frames: int) -> Bool[np.ndarray, " time"]:
    """Read in which of a cut's frames its actor is there.

    Raises:
        FileFormatError: it is no list of frames, the shot has no such frames, or it names none.
    """
    stretches = read_record(path, _Presence, "list of frames", _MOST_BYTES).present
    present = np.zeros(frames, bool)
    for first, last in stretches:
        if not 0 <= first <= last < frames:
            raise FileFormatError(
                f"{quoted(path)} says that the actor is there from frame {first} to {last}; give frames from 0 to"
                f" {frames - 1}, or delete it to have ours back"
            )
        present[first : last + 1] = True
    if not present.any():
        raise FileFormatError(f"{quoted(path)} names no frame; expected one at least: delete it to have ours back")
    return present


def save_light(path: Path, light: Light) -> None:
    """Write a light as JSON that a person can edit."""
    content = {name: value.tolist() for name, value in asdict(light).items() if name != "key_angle_rad"}
    content["key_angle_deg"] = round(math.degrees(light.key_angle_rad), 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_light(path: Path) -> Light:
    """Read a light; the direction of its key may have any length.

    Raises:
        FileFormatError: a value is missing or no finite number, or the key has no direction.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no names with values")
        angle_deg = float(content.pop("key_angle_deg"))
        if not 0 <= angle_deg < 90:
            raise ValueError(f"key_angle_deg is {angle_deg:g}, not from 0 to below 90")
        light = Light(
            **{name: np.array(value, np.float64) for name, value in content.items()},
            key_angle_rad=math.radians(angle_deg),
        )
        length = math.hypot(*light.key_direction)
        if not 0 < length < math.inf:
            raise ValueError("key_direction says no direction")
        return replace(light, key_direction=light.key_direction / length)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a light ({error}); delete it to have it made again") from error
