"""How far a camera path is from the truth.

Two families that must not be mixed: mean angles and shares of the path's length (ours), and the sums over frames in
radians that camera-controlled video models report (CamI2V, Zheng et al. 2024).
"""

import numpy as np
from jaxtyping import Float

from understudy.geometry.rigid import invert, similarity
from understudy.geometry.rotations import rotation_angle

__all__ = [
    "cam_mc",
    "relative_to_first",
    "relative_trajectory_error",
    "rotation_error_deg",
    "rotation_error_sum",
    "trajectory_error_m",
    "translation_error_sum",
]

Path = Float[np.ndarray, "time 4 4"]


def relative_to_first(T_world_camera: Path) -> Path:
    """Each camera in the first one's frame."""
    return invert(T_world_camera[:1]) @ T_world_camera


def rotation_error_deg(predicted: Path, true: Path) -> Float[np.ndarray, " time"]:
    """Angle between the cameras' turns since the first frame, in degrees."""
    a, b = relative_to_first(predicted)[:, :3, :3], relative_to_first(true)[:, :3, :3]
    return np.degrees(rotation_angle(np.swapaxes(a, 1, 2) @ b))


def trajectory_error_m(predicted: Path, true: Path) -> Float[np.ndarray, " time"]:
    """ATE: distance of the optical centres after the best similarity transform of the whole path, in true metres."""
    a, b = predicted[:, :3, 3], true[:, :3, 3]
    scale, R, t = similarity(a, b)
    return np.linalg.norm(scale * a @ R.T + t - b, axis=-1)


def relative_trajectory_error(predicted: Path, true: Path) -> float:
    """The mean ATE as a share of the true path's length; 0 for a path without length."""
    length = np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=-1).sum()
    return float(trajectory_error_m(predicted, true).mean() / length) if length > 1e-9 else 0.0


def rotation_error_sum(predicted: Path, true: Path) -> float:
    """RotErr of CamI2V: the sum over frames of the angle between relative rotations, in radians."""
    return float(np.radians(rotation_error_deg(predicted, true)).sum())


def _scaled_relative(T_world_camera: Path, by: Path) -> Path:
    relative = relative_to_first(T_world_camera)
    farthest = np.linalg.norm(relative_to_first(by)[:, :3, 3], axis=-1).max()
    relative[:, :3, 3] /= farthest + 1e-9
    return relative


def translation_error_sum(predicted: Path, true: Path) -> float:
    """TransErr of CamI2V (relative): each path scaled by its own farthest point; distances summed over frames."""
    a, b = _scaled_relative(predicted, predicted), _scaled_relative(true, true)
    return float(np.linalg.norm(a[:, :3, 3] - b[:, :3, 3], axis=-1).sum())


def cam_mc(predicted: Path, true: Path) -> float:
    """CamMC of CamI2V (relative): the 2-norm of the difference of the 12 numbers of [R | t], summed over frames."""
    a, b = _scaled_relative(predicted, predicted), _scaled_relative(true, true)
    return float(np.sqrt(((a - b)[:, :3] ** 2).sum((1, 2))).sum())
