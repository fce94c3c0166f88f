"""How far a recovered motion is from the truth, and how clean it is.

Joints are in metres, `Float[np.ndarray, "time joint 3"]`. Definitions follow the evaluation of world-grounded motion
recovery (WHAM, Shin et al. 2024; GVHMR, Shen et al. 2024).
"""

import numpy as np
from jaxtyping import Bool, Float

from understudy.geometry.rigid import similarity

__all__ = [
    "amplitude_kept",
    "foot_sliding_mm",
    "jitter",
    "mpjpe_mm",
    "pa_mpjpe_mm",
    "root_translation_error_percent",
    "w_mpjpe_mm",
    "wa_mpjpe_mm",
]

Joints = Float[np.ndarray, "time joint 3"]


def _centred(joints: Joints, root: tuple[int, ...]) -> Joints:
    return joints - joints[:, list(root)].mean(1, keepdims=True)


def _distance_mm(predicted: Joints, true: Joints) -> Float[np.ndarray, " time"]:
    return 1000 * np.linalg.norm(predicted - true, axis=-1).mean(-1)


def mpjpe_mm(predicted: Joints, true: Joints, root: tuple[int, ...] = (0,)) -> Float[np.ndarray, " time"]:
    """Mean joint distance per frame, both sides moved to the mean of the joints `root`."""
    return _distance_mm(_centred(predicted, root), _centred(true, root))


def pa_mpjpe_mm(predicted: Joints, true: Joints) -> Float[np.ndarray, " time"]:
    """Mean joint distance per frame after the best similarity transform of that frame."""
    aligned = np.empty_like(predicted)
    for frame, (source, target) in enumerate(zip(predicted, true, strict=True)):
        scale, R, t = similarity(source, target)
        aligned[frame] = scale * source @ R.T + t
    return _distance_mm(aligned, true)


def _chunked_mpjpe_mm(predicted: Joints, true: Joints, chunk: int, fit: int) -> Float[np.ndarray, " time"]:
    aligned = np.empty_like(predicted)
    for start in range(0, len(predicted), chunk):
        part = slice(start, start + chunk)
        head = slice(start, min(start + fit, start + chunk))
        scale, R, t = similarity(predicted[head].reshape(-1, 3), true[head].reshape(-1, 3))
        aligned[part] = scale * predicted[part] @ R.T + t
    return _distance_mm(aligned, true)


def w_mpjpe_mm(predicted: Joints, true: Joints, chunk: int = 100) -> Float[np.ndarray, " time"]:
    """World joint distance in pieces of `chunk` frames, each aligned by a similarity on its first two frames."""
    return _chunked_mpjpe_mm(predicted, true, chunk, 2)


def wa_mpjpe_mm(predicted: Joints, true: Joints, chunk: int = 100) -> Float[np.ndarray, " time"]:
    """World joint distance in pieces of `chunk` frames, each aligned by a similarity on the whole piece."""
    return _chunked_mpjpe_mm(predicted, true, chunk, chunk)


def root_translation_error_percent(
    predicted_m: Float[np.ndarray, "time 3"], true_m: Float[np.ndarray, "time 3"]
) -> Float[np.ndarray, " time"]:
    """RTE: distance of the root per frame after a rigid fit of the whole path, over the true path's length."""
    _, R, t = similarity(predicted_m, true_m, with_scale=False)
    travelled = np.linalg.norm(np.diff(true_m, axis=0), axis=-1).sum()
    return 100 * np.linalg.norm(predicted_m @ R.T + t - true_m, axis=-1) / max(travelled, 1e-9)


def jitter(joints: Joints, frame_rate: float) -> Float[np.ndarray, " step"]:
    """Mean length of the third derivative per frame, in 10 m/s³."""
    return np.linalg.norm(np.diff(joints, n=3, axis=0) * frame_rate**3, axis=-1).mean(-1) / 10


def foot_sliding_mm(
    predicted_feet: Float[np.ndarray, "time foot 3"], contact: Bool[np.ndarray, "step foot"]
) -> Float[np.ndarray, " contact"]:
    """How far each foot point moves in each step from frame to frame in which it stands."""
    moved = np.linalg.norm(np.diff(predicted_feet, axis=0), axis=-1)
    return 1000 * moved[contact]


def amplitude_kept(predicted_m: Float[np.ndarray, "time 3"], true_m: Float[np.ndarray, "time 3"]) -> float:
    """Share of a point's swing that is left: the ratio of the paths' spreads about their means."""
    spread = np.sqrt(((true_m - true_m.mean(0)) ** 2).sum())
    return float(np.sqrt(((predicted_m - predicted_m.mean(0)) ** 2).sum()) / max(spread, 1e-12))
