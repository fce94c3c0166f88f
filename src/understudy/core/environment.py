"""The light on the character."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.runtime.checks import check_finite, check_shape

__all__ = ["Light"]


@dataclass(frozen=True)
class Light:
    """One distant key light and a soft fill from all sides, in linear light, world frame.

    Irradiance is in units in which a white matt surface that gets 1 has the linear colour 1 (the 1/π is inside).
    """

    key_direction: Float[np.ndarray, "3"]
    """Unit vector from the scene towards the key light."""
    key_colour: Float[np.ndarray, "3"]
    """Irradiance on a surface that faces the key."""
    fill_sky: Float[np.ndarray, "3"]
    """Irradiance from above (+Y)."""
    fill_ground: Float[np.ndarray, "3"]
    """Irradiance from below."""
    key_angle_rad: float = math.radians(4.0)
    """Angular radius of the key: how soft its shadows are."""

    def __post_init__(self) -> None:
        for name in ("key_direction", "key_colour", "fill_sky", "fill_ground"):
            check_shape(name, getattr(self, name), 3)
            check_finite(name, getattr(self, name))
