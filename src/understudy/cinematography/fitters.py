"""Every camera fitter by name."""

from understudy.cinematography.camera_fit import PointCameraFitter
from understudy.cinematography.dnerf.fitter import DNeRFFitter

__all__ = ["CAMERA_FITTERS", "CameraFitterConfig"]

CameraFitterConfig = PointCameraFitter | DNeRFFitter

CAMERA_FITTERS: dict[str, type[CameraFitterConfig]] = {"points": PointCameraFitter, "dnerf": DNeRFFitter}
"""Frozen configurations; `CAMERA_FITTERS[name]().build()` gives a CameraFitter. "points" is the default."""
