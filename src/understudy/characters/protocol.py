"""What characters from pictures take from outside."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["Detection", "LandmarkDetector"]

Detection = tuple[
    Float[np.ndarray, "33 2"],
    Float[np.ndarray, "33"],
    Float[np.ndarray, "33 3"],
    Float[np.ndarray, "height width"],
]
"""Landmarks in pixels, their visibility 0 … 1, landmarks in metres (camera axes), and how surely each pixel is body."""


@runtime_checkable
class LandmarkDetector(Protocol):
    """Finds the body landmarks of the one person or figure in a picture."""

    def __call__(self, picture: UInt8[np.ndarray, "height width 3"]) -> Detection | None:
        """The 33 landmarks of `core.footage.LANDMARKS`, or None where nobody is found."""
