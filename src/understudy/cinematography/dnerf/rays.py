"""Lines of sight of a camera, in the units of a field's box."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from understudy.cinematography.dnerf.pictures import FieldBox
from understudy.cinematography.dnerf.volume import Rays

__all__ = ["BoxSpace", "as_tensor", "camera_rays"]


def as_tensor(values: np.ndarray, device: torch.device) -> Tensor:
    """An array as float32 on a device."""
    return torch.as_tensor(values, dtype=torch.float32, device=device)


class BoxSpace:
    """A field's box as tensors: the way between the world and the field's units."""

    def __init__(self, box: FieldBox, device: torch.device) -> None:
        moments = len(box.centre)
        self.centre = as_tensor(box.centre, device)
        self.radius_m = box.radius_m
        self.half = as_tensor(box.half_m / box.radius_m, device)
        self.time = torch.linspace(0, 1, moments, device=device) if moments > 1 else torch.zeros(1, device=device)


def camera_rays(
    space: BoxSpace,
    R_world_camera: Float[Tensor, "moment 3 3"],
    position: Float[Tensor, "moment 3"],
    K: Float[Tensor, "moment 3 3"],
    pixels: Float[Tensor, "moment pixel 2"],
) -> Rays:
    """The rays through pixels, all moments one after the other; differentiable by the camera."""
    moments, count, _ = pixels.shape
    focal, centre = torch.diagonal(K[:, :2, :2], dim1=1, dim2=2), K[:, :2, 2]
    plane = (pixels - centre[:, None]) / focal[:, None]
    ahead = torch.cat([plane, torch.ones_like(plane[..., :1])], 2)
    directions = torch.nn.functional.normalize(ahead @ R_world_camera.transpose(1, 2), dim=2)
    origins = ((position - space.centre) / space.radius_m)[:, None].expand(moments, count, 3)
    return Rays(origins.reshape(-1, 3), directions.reshape(-1, 3), space.time.repeat_interleave(count))
