"""The plate's camera kept: the new body is placed in its world as large as the actor was, and nothing moves against it.

Behind the new body stands the plate of the source's own camera. Any other camera would show the ground elsewhere than
the plate does, and feet would hover or sink. So the camera is the source's, moved into the new body's world by its
scale, which leaves the picture of the ground as it was, exactly. DreamCinema's fit of the camera (section III-D) is for
sets in three dimensions; see `camera_fit`.
"""

from dataclasses import dataclass

from understudy.cinematography.camera_fit import CameraFitConfig, PointCameraFitter
from understudy.cinematography.protocol import CameraFitter

__all__ = ["PlateCamera"]


@dataclass(frozen=True)
class PlateCamera:
    """The source's camera in the new body's world."""

    def build(self) -> CameraFitter:
        """The fitter, ready to use: the start of the fit on points, from which no step is made."""
        return PointCameraFitter(CameraFitConfig(steps=0)).build()
