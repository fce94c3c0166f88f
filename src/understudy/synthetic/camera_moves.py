"""Camera moves as data: where a camera goes while it looks at somebody."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from understudy.core.camera import CameraPath
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at

__all__ = ["CameraMove", "CameraMoveName", "camera_path"]

CameraMoveName = Literal["static", "pan", "tilt", "push_in", "pull_out", "truck", "arc", "handheld"]
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
    """How far it goes from end to end: radians for pan, tilt and arc; metres for push_in, pull_out and truck; how far a
    handheld camera sways, in metres; None: a usual amount."""
    follow: float = 0.0
    """How much of the target's way the camera goes along, on top of its move: 0 … 1."""
    ease: float = 0.6
    """0: constant speed; 1: starts and ends at rest."""
    focal_px: float | None = None
    """None: 1.15 times the picture's width."""


_USUAL = {"pan": 0.22, "tilt": 0.14, "push_in": 1.4, "pull_out": 1.4, "truck": 1.8, "arc": 0.7, "handheld": 0.06}


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
    eased = share * share * (3 - 2 * share)
    swing = (move.ease * eased + (1 - move.ease) * share) - 0.5
    amount = _USUAL.get(move.name, 0.0) if move.amount is None else move.amount
    middle = 0.5 * (target_m.min(0) + target_m.max(0))
    calm = gaussian_filter1d(target_m, max(FOLLOW_S * float(frame_rate), 0.5), axis=0, mode="nearest")
    aim = middle + move.follow * (calm - middle)
    azimuth = np.full(frames, move.azimuth_rad)
    distance = np.full(frames, move.distance_m)
    right = np.array([np.cos(move.azimuth_rad), 0.0, -np.sin(move.azimuth_rad)])
    shift = np.zeros((frames, 3))
    if move.name == "arc":
        azimuth = azimuth + amount * swing
    elif move.name in ("push_in", "pull_out"):
        distance = distance + (-amount if move.name == "push_in" else amount) * swing
    elif move.name == "truck":
        shift = amount * swing[:, None] * right
    position = aim + distance[:, None] * np.stack([np.sin(azimuth), np.zeros(frames), np.cos(azimuth)], 1) + shift
    position[:, 1] = move.height_m
    if move.name == "truck":
        aim = aim + shift
    elif move.name == "pan":
        aim = aim + (move.distance_m * np.tan(amount * swing))[:, None] * right
    elif move.name == "tilt":
        aim = aim + (move.distance_m * np.tan(amount * swing))[:, None] * [0.0, 1.0, 0.0]
    elif move.name == "handheld":
        position = position + amount * _sway(seed, frames, frame_rate)
        aim = aim + 0.7 * amount * _sway(seed + 1, frames, frame_rate)
    K = intrinsics(move.focal_px or 1.15 * width, width, height)
    return CameraPath(look_at(position, aim), np.repeat(K[None], frames, 0), width, height, frame_rate)


def _sway(seed: int, frames: int, frame_rate: Fraction) -> Float[np.ndarray, "time 3"]:
    """Smooth wandering of about unit size, with a breath and a tremble in it."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(frames) / float(frame_rate)
    total = np.zeros((frames, 3))
    for frequency_hz, size in ((0.3, 0.6), (0.7, 0.35), (1.6, 0.15), (3.1, 0.05)):
        phase = rng.uniform(0, 2 * np.pi, 3)
        total += size * np.sin(2 * np.pi * frequency_hz * rng.uniform(0.8, 1.2, 3) * time_s[:, None] + phase)
    return total
