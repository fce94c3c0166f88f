"""The camera under which a field looks as the actor does, by gradient descent through the field.

Source: Yen-Chen et al. 2021, iNeRF; DreamCinema, section III-D.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.cinematography.dnerf.config import InversionConfig
from understudy.cinematography.dnerf.field import RadianceField
from understudy.cinematography.dnerf.pictures import BodyPictures
from understudy.cinematography.dnerf.rays import BoxSpace, as_tensor, camera_rays
from understudy.cinematography.dnerf.terms import (
    Cameras,
    SeenSurface,
    Shown,
    instance_loss,
    motion_loss,
    semantic_loss,
    shown,
    smoothness_loss,
)
from understudy.cinematography.dnerf.training import pixel_grid
from understudy.cinematography.dnerf.volume import box_span, render_rays
from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.runtime.progress import Progress, silent

__all__ = ["ActorShown", "Inversion", "TermValues", "invert_field", "moved_cameras"]


@dataclass(frozen=True)
class ActorShown:
    """What the actor shows at the key frames, in square crops of the source's picture."""

    surface: SeenSurface
    pixels: Float[Tensor, "moment pixel 2"]
    """Centres of the crops' pixels in the whole picture."""
    cameras: Cameras
    """The source's."""
    height_px: Float[Tensor, " moment"]
    """The actor's height in the whole picture."""
    side_px: int

    @staticmethod
    def of(pictures: BodyPictures, crops: CameraPath, camera: CameraPath, device: torch.device) -> "ActorShown":
        """From pictures through the crops of the source's camera."""
        moments, side = len(crops), crops.width
        focal, centre = crops.K[:, [0, 1], [0, 1]][:, None], crops.K[:, None, :2, 2]
        whole_focal, whole_centre = camera.K[:, [0, 1], [0, 1]][:, None], camera.K[:, None, :2, 2]
        pixels = (pixel_grid(side) - centre) / focal * whole_focal + whole_centre
        rows = (pictures.alpha > 0.5).any(2).sum(1)
        height_px = np.where(rows > 0, rows, side) * (whole_focal / focal)[:, 0, 1]
        surface = SeenSurface(
            *(
                as_tensor(part.reshape(moments, side * side, *part.shape[3:]), device)
                for part in (pictures.alpha, pictures.keypoints, pictures.movement, pictures.points)
            )
        )
        T = as_tensor(camera.T_world_camera, device)
        cameras = Cameras(T[:, :3, :3], T[:, :3, 3], as_tensor(camera.K, device))
        return ActorShown(surface, as_tensor(pixels, device), cameras, as_tensor(height_px, device), side)

    def at(self, chosen: Int[Tensor, " pixel"]) -> tuple[Shown, Float[Tensor, "moment pixel 2"]]:
        """What some of the pixels show, and where they are."""
        s = self.surface
        pixels = self.pixels[:, chosen]
        part = SeenSurface(s.alpha[:, chosen], s.keypoints[:, chosen], s.movement[:, chosen], s.points[:, chosen])
        return shown(part, pixels, self.cameras), pixels


@dataclass(frozen=True)
class TermValues:
    """The terms of the fit, unweighted."""

    instance: float
    semantic: float
    motion: float


@dataclass(frozen=True)
class Inversion:
    """Camera offsets at the key frames: turns about the camera's own axes, shifts in the world."""

    turn: Float[np.ndarray, "moment 3"]
    """Rotation vectors, radians."""
    shift: Float[np.ndarray, "moment 3"]
    """Shares of the subject's distance."""
    before: TermValues
    after: TermValues


def moved_cameras(cameras: Cameras, offsets: Float[Tensor, "moment 6"], distance_m: float) -> Cameras:
    """Cameras turned about their own axes and shifted in the world.

    The increments are of SO(3) and R³ apart, not of a screw in SE(3): so a camera that turns keeps its one place.
    """
    zero = torch.zeros_like(offsets[:, 0])
    x, y, z = offsets[:, 0], offsets[:, 1], offsets[:, 2]
    rows = [torch.stack(row, 1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    turn = torch.linalg.matrix_exp(torch.stack(rows, 1))
    return Cameras(cameras.R_world_camera @ turn, cameras.position + distance_m * offsets[:, 3:], cameras.K)


def invert_field(
    field: RadianceField,
    space: BoxSpace,
    actor: ActorShown,
    cameras: Cameras,
    distance_m: float,
    gap_s: float,
    move: CameraMoveKind,
    config: InversionConfig,
    progress: Progress = silent,
) -> Inversion:
    """Move `cameras` until the field looks through them as the actor did through the source's camera.

    All moments are moved together: by what they have in common, and each by its own as far as `move` allows.
    """
    device, moments = space.centre.device, len(space.time)
    generator = torch.Generator(device).manual_seed(1)
    common = torch.zeros(6, device=device, requires_grad=True)
    own = torch.zeros(moments, 6, device=device, requires_grad=True)
    free = torch.tensor([move != "static"] * 3 + [move == "parallax"] * 3, device=device)
    tolerance = torch.tensor(
        [config.turn_acceleration_rad] * 3 + [config.shift_acceleration] * 3,
        dtype=torch.float32, device=device,
    )  # fmt: skip
    optimiser = torch.optim.Adam([common, own], config.first_rate)
    falling = (config.last_rate / config.first_rate) ** (1 / max(config.steps, 1))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, falling)

    def terms(offsets: Tensor, corner: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        target, pixels = actor.at(_strided(actor.side_px, config.stride, corner, device))
        moved = moved_cameras(cameras, offsets, distance_m)
        body = shown(_seen(field, space, moved, pixels, generator), pixels, moved)
        return (
            instance_loss(body, target),
            semantic_loss(body, target, actor.height_px, config.framing_tolerance),
            motion_loss(body, target, actor.height_px, config.flow_tolerance),
        )

    def measured(offsets: Tensor) -> TermValues:
        middle = (config.stride // 2, config.stride // 2)
        with torch.no_grad():
            return TermValues(*(float(term) for term in terms(offsets, middle, torch.Generator(device).manual_seed(2))))

    before = measured(torch.zeros(moments, 6, device=device))
    for step in range(config.steps):
        offsets = common + torch.where(free, own, 0.0)
        corner = torch.randint(config.stride, (2,), generator=generator, device=device).tolist()
        loss = _weighted(terms(offsets, (corner[0], corner[1]), generator), config)
        loss = loss + config.smoothness * smoothness_loss(offsets, gap_s, tolerance)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1, config.steps)
    offsets = (common + torch.where(free, own, 0.0)).detach()
    found = offsets.cpu().numpy().astype(np.float64)
    return Inversion(found[:, :3], found[:, 3:], before, measured(offsets))


def _weighted(terms: tuple[Tensor, Tensor, Tensor], config: InversionConfig) -> Float[Tensor, ""]:
    instance, semantic, motion = terms
    return config.instance * instance / config.mask_tolerance + config.semantic * semantic + config.motion * motion


def _strided(side_px: int, stride: int, corner: tuple[int, int], device: torch.device) -> Int[Tensor, " pixel"]:
    rows = torch.arange(corner[0], side_px, stride, device=device)
    columns = torch.arange(corner[1], side_px, stride, device=device)
    return (rows[:, None] * side_px + columns).flatten()


def _seen(
    field: RadianceField,
    space: BoxSpace,
    cameras: Cameras,
    pixels: Float[Tensor, "moment pixel 2"],
    generator: torch.Generator,
) -> SeenSurface:
    """What the field shows in pixels, in the world's units; rays that miss its box see nothing."""
    moments, count, _ = pixels.shape
    rays = camera_rays(space, cameras.R_world_camera, cameras.position, cameras.K, pixels)
    with torch.no_grad():
        hit = box_span(rays, space.half)[2].nonzero()[:, 0]
    picture = render_rays(field, rays[hit], space.half, generator)

    def spread(values: Tensor) -> Tensor:
        whole = torch.zeros(moments * count, values.shape[1], device=values.device, dtype=values.dtype)
        return whole.index_copy(0, hit, values).view(moments, count, values.shape[1])

    alpha = spread(picture.alpha[:, None])
    return SeenSurface(
        alpha=alpha[..., 0],
        keypoints=spread(picture.keypoints),
        movement=spread(picture.movement) * space.radius_m,
        points=spread(picture.points) * space.radius_m + alpha * space.centre[:, None],
    )
