"""What characters from pictures take from outside."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["Detection", "FaceFinder", "HandFinder", "LandmarkDetector", "without_face", "without_hand"]

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


@runtime_checkable
class FaceFinder(Protocol):
    """Finds the surface of a face."""

    def __call__(
        self, picture: UInt8[np.ndarray, "height width 3"], landmarks_px: Float[np.ndarray, "11 2"]
    ) -> Float[np.ndarray, "468 3"] | None:
        """The points of Face Mesh, x and y in the picture's pixels, z in pixels towards the viewer; None where no face
        is seen. `landmarks_px` are the first 11 body landmarks (nose to mouth)."""


def without_face(
    picture: UInt8[np.ndarray, "height width 3"], landmarks_px: Float[np.ndarray, "11 2"]
) -> Float[np.ndarray, "468 3"] | None:
    """A `FaceFinder` that sees none: heads stay smooth."""


@runtime_checkable
class HandFinder(Protocol):
    """Finds the joints of a hand."""

    def __call__(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        elbow_px: Float[np.ndarray, "2"],
        wrist_px: Float[np.ndarray, "2"],
    ) -> Float[np.ndarray, "21 3"] | None:
        """The wrist, then the joints of thumb to little finger from root to tip, x and y in the picture's pixels, z in
        pixels towards the viewer from the wrist; None where no hand is seen at the forearm's end."""


def without_hand(
    picture: UInt8[np.ndarray, "height width 3"], elbow_px: Float[np.ndarray, "2"], wrist_px: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "21 3"] | None:
    """A `HandFinder` that sees none: hands are mittens."""
