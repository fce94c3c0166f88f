"""How a field learns a body from pictures of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.cinematography.dnerf.config import FieldConfig, FieldTrainingConfig
from understudy.cinematography.dnerf.field import RadianceField
from understudy.cinematography.dnerf.pictures import BodyPictures
from understudy.cinematography.dnerf.rays import BoxSpace, as_tensor, camera_rays
from understudy.cinematography.dnerf.volume import RayPicture, Rays, box_span, render_rays
from understudy.core.camera import CameraPath
from understudy.runtime.progress import Progress, silent

__all__ = ["pixel_grid", "train_field"]

_MOVEMENT_WEIGHT = 0.05
"""Of the movement's error as a share of the movement itself."""


def train_field(
    pictures: Sequence[BodyPictures],
    cameras: Sequence[CameraPath],
    space: BoxSpace,
    field_config: FieldConfig,
    config: FieldTrainingConfig,
    progress: Progress = silent,
) -> RadianceField:
    """A field that shows what the pictures show, at their moments and from their cameras.

    Half of the rays of a step are drawn from those that see the body, half from all that meet its box. Moments join one
    by one over the first steps. Source: Pumarola et al. 2021, D-NeRF, section 4.
    """
    device = space.centre.device
    album = _album(pictures, cameras, space)
    generator = torch.Generator(device).manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        field = RadianceField(field_config, pictures[0].keypoints.shape[-1]).to(device)
    optimiser = torch.optim.Adam(field.parameters(), config.first_rate)
    falling = (config.last_rate / config.first_rate) ** (1 / max(config.steps, 1))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, falling)
    moments = len(space.time)
    for step in range(config.steps):
        known = min(moments, 1 + int(moments * step / max(config.curriculum * config.steps, 1.0)))
        chosen = album.drawn(known, config.rays, generator)
        picture = render_rays(field, album.rays[chosen], space.half, generator)
        loss = _difference(picture, album.shown[chosen], album.movement_square)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1, config.steps)
    return field.requires_grad_(False)


@dataclass(frozen=True)
class _Album:
    """Every ray of the pictures that meets the body's box, by moment, and what it shows."""

    rays: Rays
    shown: Float[Tensor, "ray channel"]
    """Alpha, colour, movement in the box's units, keypoints."""
    rays_until: Int[np.ndarray, " moment"]
    """How many rays there are up to and with each moment."""
    on_body: Int[Tensor, " body_ray"]
    on_body_until: Int[np.ndarray, " moment"]
    movement_square: float

    def drawn(self, moments: int, count: int, generator: torch.Generator) -> Int[Tensor, " ray"]:
        """Random rays out of the first `moments`."""
        device = self.shown.device

        def drawn(below: int, number: int) -> Tensor:
            return torch.randint(max(below, 1), (number,), generator=generator, device=device)

        anywhere = drawn(int(self.rays_until[moments - 1]), count)
        bodies = int(self.on_body_until[moments - 1])
        if bodies:
            anywhere[: count // 2] = self.on_body[drawn(bodies, count // 2)]
        return anywhere


def pixel_grid(side_px: int) -> Float[np.ndarray, "pixel 2"]:
    """The pixels' centres of a square picture, row by row."""
    x, y = np.meshgrid(np.arange(side_px) + 0.5, np.arange(side_px) + 0.5)
    return np.stack([x, y], -1).reshape(-1, 2)


def _album(pictures: Sequence[BodyPictures], cameras: Sequence[CameraPath], space: BoxSpace) -> _Album:
    device, moments = space.centre.device, len(space.time)
    pixels = as_tensor(pixel_grid(cameras[0].width), device).expand(moments, -1, 2)
    origins, directions, shown, moment_of = [], [], [], []
    for picture, camera in zip(pictures, cameras, strict=True):
        T, K = as_tensor(camera.T_world_camera, device), as_tensor(camera.K, device)
        rays = camera_rays(space, T[:, :3, :3], T[:, :3, 3], K, pixels)
        _, _, hit = box_span(rays, space.half)
        flat = (
            picture.alpha[..., None], picture.colour, picture.movement / space.radius_m, picture.keypoints,
        )  # fmt: skip
        channels = np.concatenate([part.reshape(len(hit), -1) for part in flat], 1)
        origins.append(rays.origins[hit])
        directions.append(rays.directions[hit])
        shown.append(as_tensor(channels, device)[hit])
        moment_of.append(torch.arange(moments, device=device).repeat_interleave(pixels.shape[1])[hit])
    moment = torch.cat(moment_of)
    order = moment.argsort(stable=True)
    moment = moment[order]
    rays = Rays(torch.cat(origins)[order], torch.cat(directions)[order], space.time[moment])
    channels = torch.cat(shown)[order]
    on_body = (channels[:, 0] > 0).nonzero()[:, 0]
    movement = channels[on_body, 4:7]
    return _Album(
        rays=rays,
        shown=channels,
        rays_until=np.cumsum(np.bincount(moment.cpu().numpy(), minlength=moments)),
        on_body=on_body,
        on_body_until=np.cumsum(np.bincount(moment[on_body].cpu().numpy(), minlength=moments)),
        movement_square=float((movement**2).mean()) if len(on_body) else 0.0,
    )


def _difference(picture: RayPicture, shown: Float[Tensor, "ray channel"], movement_square: float) -> Float[Tensor, ""]:
    """Mean squared error of coverage, colour and keypoints, and that of the movement as a share of the movement."""
    loss = ((picture.alpha - shown[:, 0]) ** 2).mean() + ((picture.colour - shown[:, 1:4]) ** 2).mean()
    loss = loss + ((picture.keypoints - shown[:, 7:]) ** 2).sum(1).mean()
    if movement_square > 1e-10:
        loss = loss + _MOVEMENT_WEIGHT * ((picture.movement - shown[:, 4:7]) ** 2).mean() / movement_square
    return loss
