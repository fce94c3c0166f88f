"""Vectors of length one, and a step without corners."""

import numpy as np
from jaxtyping import Float

__all__ = ["smooth_step", "unit"]

SHORTEST = 1e-12
"""Vectors below this length have no direction that floating point numbers could tell; in metres less than an atom."""


def unit(v: Float[np.ndarray, "*batch axis"]) -> Float[np.ndarray, "*batch axis"]:
    """Vectors brought to length one; zero stays zero."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), SHORTEST)


def smooth_step(x: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
    """0 up to 0, 1 from 1, between them the cubic that is level at both ends (Hermite)."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x))
