"""Every camera fitter by name."""

from typing import Literal

from understudy.cinematography.camera_fit import PointCameraFitter
from understudy.cinematography.dnerf.fitter import DNeRFFitter

__all__ = ["CAMERA_FITTERS", "CameraFitterConfig", "CameraFitterName"]

CameraFitterConfig = PointCameraFitter | DNeRFFitter

CameraFitterName = Literal["points", "dnerf"]
CAMERA_FITTERS: dict[CameraFitterName, type[CameraFitterConfig]] = {"points": PointCameraFitter, "dnerf": DNeRFFitter}
"""Frozen configurations; `CAMERA_FITTERS[name]().build()` gives a CameraFitter. "points" is the default."""
