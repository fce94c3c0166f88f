"""What re-fitting a camera takes and gives."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.core.film import Performance
from understudy.runtime.checks import check_shape
from understudy.runtime.progress import Progress, silent

__all__ = ["CameraFit", "CameraFitter", "Framing"]


@dataclass(frozen=True)
class Framing:
    """How far a body is from filling the frame as the actor did, frame by frame; 0 is the actor's own framing.

    Lengths are shares of the actor's height in the picture; what is beyond 10 (behind the camera) is given as 10.
    """

    keypoint_error: Float[np.ndarray, " time"]
    """Mean distance of the projected joints from the actor's."""
    box_centre_error: Float[np.ndarray, " time"]
    """Distance between the centres of the bounding boxes."""
    box_height_error: Float[np.ndarray, " time"]
    """How much taller or smaller the bounding box is, as a share of the actor's."""
    foot_error: Float[np.ndarray, " time"]
    """Mean distance on the ground of the standing feet from where the actor's stand; 0 where none stands."""

    def __post_init__(self) -> None:
        for name in ("box_centre_error", "box_height_error", "foot_error"):
            check_shape(name, getattr(self, name), len(self.keypoint_error))


@dataclass(frozen=True)
class CameraFit:
    """A camera for a new body, and what it is worth."""

    camera: CameraPath
    before: Framing
    """With the source's camera as it was."""
    scaled: Framing
    """With the source's camera moved into the new body's world by its scale alone."""
    after: Framing
    world_scale: float
    """How large the new body's world is: its path and height against the actor's."""
    iterations: int


@runtime_checkable
class CameraFitter(Protocol):
    """Finds the camera under which a new body fills the frame as the actor did."""

    def __call__(
        self,
        actor: Performance,
        understudy: Performance,
        camera: CameraPath,
        move: CameraMoveKind,
        world_scale: float | None = None,
        progress: Progress = silent,
    ) -> CameraFit:
        """The re-fitted camera; both bodies and the camera are in one world with the ground at y = 0.

        Args:
            world_scale: how much larger the understudy's path over the ground is than the actor's, about the origin;
                None: unknown, as of a motion from elsewhere.
        """
        ...
