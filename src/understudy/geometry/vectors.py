"""Vectors of length one, and a step without corners."""

import numpy as np
from jaxtyping import Float

__all__ = ["Triple", "smooth_step", "triple", "unit"]

Triple = tuple[float, float, float]
"""Three numbers of a noun that is compared and kept in sets."""

SHORTEST = 1e-12
"""Vectors below this length have no direction that floating point numbers could tell; in metres less than an atom."""


def unit(v: Float[np.ndarray, "*batch axis"]) -> Float[np.ndarray, "*batch axis"]:
    """Vectors brought to length one; zero stays zero."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), SHORTEST)


def smooth_step(x: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
    """0 up to 0, 1 from 1, between them the cubic that is level at both ends (Hermite)."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x))


def triple(values: Float[np.ndarray, "3"]) -> Triple:
    """An array of three as plain numbers."""
    x, y, z = (float(value) for value in values)
    return x, y, z
