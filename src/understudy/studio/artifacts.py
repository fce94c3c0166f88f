"""What stages leave for each other in the film's folder, where no public format fits."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.core.camera import CameraPath
from understudy.core.environment import Light
from understudy.core.errors import FileFormatError
from understudy.core.footage import CameraSolution

__all__ = [
    "load_arrays",
    "load_light",
    "load_solution",
    "save_arrays",
    "save_light",
    "save_solution",
]


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as .npz, under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez_compressed(temporary, **arrays)
    os.replace(temporary, path)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays; raises FileFormatError for anything else than a .npz of plain arrays."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{path} is not an .npz file of plain arrays ({error}); delete it to have it made again"
        ) from error


def save_solution(path: Path, solution: CameraSolution) -> None:
    """Write the camera as found in the picture."""
    camera = solution.camera
    save_arrays(
        path,
        {
            "T_world_camera": camera.T_world_camera,
            "K": camera.K,
            "size_px": np.array([camera.width, camera.height]),
            "frame_rate": np.array([camera.frame_rate.numerator, camera.frame_rate.denominator]),
            "move": np.array(solution.move),
            "points": solution.points,
            "residual_px": solution.residual_px,
            "notes": np.array(list(solution.notes), dtype=np.str_),
        },
    )


def load_solution(path: Path) -> CameraSolution:
    """Read what `save_solution` wrote."""
    arrays = load_arrays(path)
    width, height = (int(size) for size in arrays["size_px"])
    camera = CameraPath(
        arrays["T_world_camera"], arrays["K"], width, height, Fraction(*(int(n) for n in arrays["frame_rate"]))
    )
    return CameraSolution(
        camera,
        str(arrays["move"]),
        arrays["points"],
        arrays["residual_px"],
        tuple(str(note) for note in arrays["notes"]),
    )


def save_light(path: Path, light: Light) -> None:
    """Write a light as JSON that a person can edit."""
    content = {name: np.asarray(value).tolist() for name, value in asdict(light).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_light(path: Path) -> Light:
    """Read a light. Raises FileFormatError when a value is missing or is not a number."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vectors = {name: np.array(value, np.float64) for name, value in content.items() if name != "key_angle_deg"}
        return Light(**vectors, key_angle_deg=float(content["key_angle_deg"]))
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is not a light ({error}); delete it to have it made again") from error
