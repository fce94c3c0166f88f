"""A pinhole camera over time."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from jaxtyping import Float

from understudy.runtime.checks import check_finite, check_rigid, check_shape

__all__ = ["CameraMoveKind", "CameraPath", "PinholePath", "UnscaledCameraPath"]

CameraMoveKind = Literal["static", "rotation", "parallax"]
"""How the camera moved: not at all, turning in place, or through space."""


@dataclass(frozen=True)
class PinholePath:
    """A pinhole camera over time, with OpenCV axes: +X right, +Y down, +Z forward; its kinds say in which unit."""

    T_world_camera: Float[np.ndarray, "time 4 4"]
    """Maps camera points to world points, in the path's unit of length."""
    K: Float[np.ndarray, "time 3 3"]
    """Intrinsics in pixels; the centre of the top-left pixel is (0.5, 0.5)."""
    width: int
    height: int
    frame_rate: Fraction

    def __post_init__(self) -> None:
        check_rigid("T_world_camera", self.T_world_camera)
        check_shape("K", self.K, len(self.T_world_camera), 3, 3)
        check_finite("K", self.K)
        if self.width < 1 or self.height < 1 or self.frame_rate <= 0:
            raise ValueError(
                f"a camera needs a picture size and a frame rate; got {self.width}×{self.height} at {self.frame_rate}"
            )

    def __len__(self) -> int:
        return len(self.T_world_camera)

    @property
    def T_camera_world(self) -> Float[np.ndarray, "time 4 4"]:
        """Maps world points to camera points."""
        R = np.swapaxes(self.T_world_camera[:, :3, :3], 1, 2)
        T = np.zeros_like(self.T_world_camera)
        T[:, :3, :3] = R
        T[:, :3, 3] = -np.einsum("tij,tj->ti", R, self.T_world_camera[:, :3, 3])
        T[:, 3, 3] = 1.0
        return T

    @property
    def position(self) -> Float[np.ndarray, "time 3"]:
        """The optical centre in the world, in the path's unit of length."""
        return self.T_world_camera[:, :3, 3]


@dataclass(frozen=True)
class CameraPath(PinholePath):
    """A pinhole camera over time, in metres."""


@dataclass(frozen=True)
class UnscaledCameraPath(PinholePath):
    """A pinhole camera over time as pictures alone show it: in a unit of length that nobody knows."""

    @staticmethod
    def of(path: CameraPath, units_per_metre: float = 1.0) -> "UnscaledCameraPath":
        """A path whose scale is forgotten."""
        T = path.T_world_camera.copy()
        T[:, :3, 3] *= units_per_metre
        return UnscaledCameraPath(T, path.K, path.width, path.height, path.frame_rate)

    def in_metres(self, metres_per_unit: float) -> CameraPath:
        """The same path, once its scale is known."""
        T = self.T_world_camera.copy()
        T[:, :3, 3] *= metres_per_unit
        return CameraPath(T, self.K, self.width, self.height, self.frame_rate)
