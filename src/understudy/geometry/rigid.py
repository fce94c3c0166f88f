"""Rigid transforms T_a_b (b's points into a) and similarity alignment."""

import numpy as np
from jaxtyping import Float

__all__ = ["invert", "similarity", "transform", "transform_from"]


def transform_from(
    R: Float[np.ndarray, "*#batch 3 3"], t: Float[np.ndarray, "*#batch 3"]
) -> Float[np.ndarray, "*#batch 4 4"]:
    """A 4 × 4 transform from its rotation and translation."""
    T = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4))
    T[..., :3, :3] = R
    T[..., :3, 3] = t
    T[..., 3, 3] = 1.0
    return T


def invert(T_a_b: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """T_b_a of a rigid T_a_b."""
    R = np.swapaxes(T_a_b[..., :3, :3], -1, -2)
    return transform_from(R, -np.einsum("...ij,...j->...i", R, T_a_b[..., :3, 3]))


def transform(
    T_a_b: Float[np.ndarray, "*#batch 4 4"], points_b: Float[np.ndarray, "*#batch n 3"]
) -> Float[np.ndarray, "*#batch n 3"]:
    """Points of frame b, in frame a."""
    return points_b @ np.swapaxes(T_a_b[..., :3, :3], -1, -2) + T_a_b[..., None, :3, 3]


def similarity(
    source: Float[np.ndarray, "n 3"], target: Float[np.ndarray, "n 3"], with_scale: bool = True
) -> tuple[float, Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Scale, rotation and translation that bring `source` nearest to `target`: target ≈ s R source + t.

    Source: Umeyama 1991, Least-squares estimation of transformation parameters between two point patterns.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    a, b = source - source_mean, target - target_mean
    U, singular, Vt = np.linalg.svd(b.T @ a / len(a))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt)) or 1.0])
    R = (U * sign) @ Vt
    spread = (a**2).sum() / len(a)
    scale = float((singular * sign).sum() / spread) if with_scale and spread > 0 else 1.0
    return scale, R, target_mean - scale * R @ source_mean
