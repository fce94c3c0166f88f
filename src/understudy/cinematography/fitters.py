"""Every camera fitter by name."""

from typing import Literal

from understudy.cinematography.camera_fit import PointCameraFitter
from understudy.cinematography.dnerf.fitter import DNeRFFitter
from understudy.cinematography.plate_camera import PlateCamera

__all__ = ["CAMERA_FITTERS", "CameraFitterConfig", "CameraFitterName"]

CameraFitterConfig = PlateCamera | PointCameraFitter | DNeRFFitter

CameraFitterName = Literal["plate", "points", "dnerf"]
CAMERA_FITTERS: dict[CameraFitterName, type[CameraFitterConfig]] = {
    "plate": PlateCamera, "points": PointCameraFitter, "dnerf": DNeRFFitter,
}  # fmt: skip
"""Frozen configurations; `CAMERA_FITTERS[name]().build()` gives a CameraFitter. "plate" is the default."""
