"""Camera moves as data: where a camera goes while it looks at somebody."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from understudy.core.camera import CameraPath
from understudy.core.camera_moves import CameraMoveName
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at
from understudy.geometry.vectors import smooth_step

__all__ = ["MOVE_RANGES", "CameraMove", "MoveRange", "camera_path"]

FOLLOW_S = 0.35
"""How long a following operator takes to react."""


@dataclass(frozen=True)
class CameraMove:
    """How a camera is set up and moves."""

    name: CameraMoveName = "static"
    distance_m: float = 4.2
    """From the target at the middle of the move."""
    height_m: float = 1.45
    """Of the camera over the ground."""
    azimuth_rad: float = 0.0
    """From where it looks: 0 is from +Z, a quarter turn from +X."""
    amount: float | None = None
    """How far it goes from end to end, in the unit of MOVE_UNITS; negative: the other way; None: the usual."""
    follow: float = 0.0
    """How much of the target's way the camera goes along, on top of its move: 0 … 1; "follow" goes all of it."""
    ease: float = 0.6
    """0: constant speed; 1: starts and ends at rest."""
    focal_px: float | None = None
    """None: 1.15 times the picture's width."""


@dataclass(frozen=True)
class MoveRange:
    """How far operators usually go from the start of a move to its end, in the unit of `MOVE_UNITS`."""

    usual: float
    min: float
    max: float


MOVE_RANGES: dict[CameraMoveName, MoveRange] = {
    "static": MoveRange(0.0, 0.0, 0.0),
    "pan": MoveRange(0.22, 0.1, 1.0),
    "tilt": MoveRange(0.14, 0.06, 0.5),
    "roll": MoveRange(0.2, 0.08, 0.6),
    "push_in": MoveRange(1.4, 0.5, 2.5),
    "pull_out": MoveRange(1.4, 0.5, 2.5),
    "dolly": MoveRange(1.4, 0.5, 2.5),
    "truck": MoveRange(1.8, 0.6, 3.0),
    "pedestal": MoveRange(0.7, 0.3, 1.2),
    "crane": MoveRange(1.2, 0.5, 2.2),
    "follow": MoveRange(0.0, 0.0, 0.0),
    "arc": MoveRange(0.7, 0.3, 1.3),
    "arc_up": MoveRange(0.35, 0.15, 0.8),
    "zoom": MoveRange(0.5, 0.2, 1.0),
    "dolly_zoom": MoveRange(1.6, 0.6, 2.5),
    "handheld": MoveRange(0.06, 0.02, 0.12),
}


def camera_path(
    move: CameraMove,
    target_m: Float[np.ndarray, "time 3"],
    width: int,
    height: int,
    frame_rate: Fraction,
    seed: int = 0,
) -> CameraPath:
    """The camera of every frame; it looks at the middle of what `target_m` does."""
    frames = len(target_m)
    share = np.linspace(0, 1, frames) if frames > 1 else np.array([0.5])
    eased = smooth_step(share)
    swing = (move.ease * eased + (1 - move.ease) * share) - 0.5
    amount = MOVE_RANGES[move.name].usual if move.amount is None else move.amount
    along = amount * swing
    middle = 0.5 * (target_m.min(0) + target_m.max(0))
    calm = gaussian_filter1d(target_m, max(FOLLOW_S * float(frame_rate), 0.5), axis=0, mode="nearest")
    aim = middle + (1.0 if move.name == "follow" else move.follow) * (calm - middle)
    azimuth = move.azimuth_rad + (along if move.name == "arc" else np.zeros(frames))
    away = {"push_in": -1.0, "pull_out": 1.0, "dolly": -1.0, "dolly_zoom": -1.0}.get(move.name, 0.0)
    distance = move.distance_m + away * along
    right, up = np.array([np.cos(move.azimuth_rad), 0.0, -np.sin(move.azimuth_rad)]), np.array([0.0, 1.0, 0.0])
    position = aim + distance[:, None] * np.stack([np.sin(azimuth), np.zeros(frames), np.cos(azimuth)], 1)
    position[:, 1] = move.height_m
    roll, focal = np.zeros(frames), np.full(frames, move.focal_px or 1.15 * width)
    if move.name in ("truck", "pedestal"):
        shift = along[:, None] * (right if move.name == "truck" else up)
        position, aim = position + shift, aim + shift
    elif move.name == "crane":
        position = position + along[:, None] * up
    elif move.name == "arc_up":
        position = aim + _raised(position - aim, along)
    elif move.name in ("pan", "tilt"):
        aim = aim + (move.distance_m * np.tan(along))[:, None] * (right if move.name == "pan" else up)
    elif move.name == "roll":
        roll = along
    elif move.name == "zoom":
        focal = focal * 2.0**along
    elif move.name == "dolly_zoom":
        # What is as far away as the target keeps its size.
        focal = focal * distance / move.distance_m
    elif move.name == "handheld":
        position = position + amount * _sway(seed, frames, frame_rate)
        aim = aim + 0.7 * amount * _sway(seed + 1, frames, frame_rate)
    K = np.stack([intrinsics(float(pixels), width, height) for pixels in focal])
    return CameraPath(look_at(position, aim, roll), K, width, height, frame_rate)


def _raised(
    offset_m: Float[np.ndarray, "time 3"], angle_rad: Float[np.ndarray, " time"]
) -> Float[np.ndarray, "time 3"]:
    """Offsets from a target turned upwards around it, at the same distance and on the same side."""
    level_m = np.hypot(offset_m[:, 0], offset_m[:, 2])
    elevation_rad = np.arctan2(offset_m[:, 1], level_m) + angle_rad
    distance_m = np.linalg.norm(offset_m, axis=1)
    sideways = offset_m[:, [0, 2]] * (distance_m * np.cos(elevation_rad) / level_m)[:, None]
    return np.stack([sideways[:, 0], distance_m * np.sin(elevation_rad), sideways[:, 1]], 1)


def _sway(seed: int, frames: int, frame_rate: Fraction) -> Float[np.ndarray, "time 3"]:
    """Smooth wandering of about unit size, with a breath and a tremble in it."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(frames) / float(frame_rate)
    total = np.zeros((frames, 3))
    for frequency_hz, size in ((0.3, 0.6), (0.7, 0.35), (1.6, 0.15), (3.1, 0.05)):
        phase = rng.uniform(0, 2 * np.pi, 3)
        total += size * np.sin(2 * np.pi * frequency_hz * rng.uniform(0.8, 1.2, 3) * time_s[:, None] + phase)
    return total
