"""The reference backend of the camera re-fit."""

from dataclasses import dataclass
from importlib.util import find_spec

from understudy.cinematography.dnerf.config import CPU, DNeRFConfig
from understudy.cinematography.protocol import CameraFit, CameraFitter
from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.core.film import Performance
from understudy.runtime.errors import BackendUnavailable
from understudy.runtime.progress import Progress, silent

__all__ = ["DNeRFFitter"]


@dataclass(frozen=True)
class DNeRFFitter:
    """A deformable radiance field of the new body, inverted for the camera; see `fit.fit_camera_by_field`.

    It is what DreamCinema uses, kept to compare with: minutes to days where the default takes seconds.
    """

    config: DNeRFConfig = CPU
    device: str | None = None
    """Of PyTorch; None: a CUDA device where there is one."""

    def build(self) -> CameraFitter:
        """The fitter, ready to use.

        Raises:
            BackendUnavailable: PyTorch is absent.
        """
        if find_spec("torch") is None:
            raise BackendUnavailable("the D-NeRF camera fit needs PyTorch: pip install 'understudy[scene]'")
        import torch

        from understudy.cinematography.dnerf.fit import fit_camera_by_field

        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")

        def fit(
            actor: Performance,
            understudy: Performance,
            camera: CameraPath,
            move: CameraMoveKind,
            world_scale: float | None = None,
            progress: Progress = silent,
        ) -> CameraFit:
            return fit_camera_by_field(
                actor, understudy, camera, move, self.config, torch.device(device), progress, world_scale
            ).camera_fit

        return fit
