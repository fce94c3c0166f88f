"""Volume rendering: where a ray is sampled, and what its samples add up to.

Source: Mildenhall et al. 2020, NeRF, sections 4 and 5.2. Everything here is in the field's own units.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from understudy.cinematography.dnerf.field import RadianceField

__all__ = [
    "RayPicture",
    "Rays",
    "box_span",
    "importance_depths",
    "ray_weights",
    "render_at",
    "render_rays",
    "stratified_depths",
]

_BACKGROUND = 1e-5
"""Given to every part of a ray when samples are drawn, so that a ray through empty space has some too."""


@dataclass(frozen=True)
class Rays:
    """Lines of sight in a field's box, each at its moment."""

    origins: Float[Tensor, "ray 3"]
    directions: Float[Tensor, "ray 3"]
    """Unit length."""
    time: Float[Tensor, " ray"]

    def __getitem__(self, chosen: Tensor) -> "Rays":
        return Rays(self.origins[chosen], self.directions[chosen], self.time[chosen])


@dataclass(frozen=True)
class RayPicture:
    """What each ray sees, premultiplied by `alpha`."""

    alpha: Float[Tensor, " ray"]
    colour: Float[Tensor, "ray 3"]
    keypoints: Float[Tensor, "ray keypoint"]
    movement: Float[Tensor, "ray 3"]
    points: Float[Tensor, "ray 3"]
    """Where the surface is."""


def box_span(
    rays: Rays, half: Float[Tensor, "3"]
) -> tuple[Float[Tensor, " ray"], Float[Tensor, " ray"], Bool[Tensor, " ray"]]:
    """Where rays enter and leave the box −half … half, and whether they meet it in front of their origin."""
    safe = torch.where(rays.directions.abs() < 1e-9, 1e-9, rays.directions)
    a, b = (-half - rays.origins) / safe, (half - rays.origins) / safe
    near = torch.minimum(a, b).amax(1).clamp(min=0)
    far = torch.maximum(a, b).amin(1)
    return near, far, far > near + 1e-6


def stratified_depths(
    near: Float[Tensor, " ray"], far: Float[Tensor, " ray"], count: int, generator: torch.Generator
) -> Float[Tensor, "ray {count}"]:
    """One random depth in each of `count` equal parts of every ray."""
    drawn = torch.rand(len(near), count, generator=generator, device=near.device, dtype=near.dtype)
    share = (torch.arange(count, device=near.device) + drawn) / count
    return near[:, None] + (far - near)[:, None] * share


def importance_depths(
    depths: Float[Tensor, "ray sample"],
    far: Float[Tensor, " ray"],
    weights: Float[Tensor, "ray sample"],
    count: int,
    generator: torch.Generator,
) -> Float[Tensor, "ray {count}"]:
    """Random depths, as densely as the weights of the parts that begin at `depths` are large."""
    edges = torch.cat([depths, far[:, None]], 1)
    share = (weights + _BACKGROUND).cumsum(1)
    below = torch.cat([torch.zeros_like(share[:, :1]), share / share[:, -1:]], 1)
    drawn = torch.rand(len(far), count, generator=generator, device=far.device, dtype=far.dtype)
    drawn = (torch.arange(count, device=far.device) + drawn) / count
    part = (torch.searchsorted(below, drawn, right=True) - 1).clamp(0, depths.shape[1] - 1)
    low, high = below.gather(1, part), below.gather(1, part + 1)
    within = (drawn - low) / (high - low).clamp(min=1e-9)
    start, end = edges.gather(1, part), edges.gather(1, part + 1)
    return start + within.clamp(0, 1) * (end - start)


def ray_weights(
    density: Float[Tensor, "ray sample"], depths: Float[Tensor, "ray sample"], far: Float[Tensor, " ray"]
) -> Float[Tensor, "ray sample"]:
    """How much of each sample is seen; their sum is the ray's opacity, at most 1. NeRF, equation 3."""
    length = torch.diff(depths, dim=1, append=far[:, None]).clamp(min=0)
    thickness = density * length
    before = torch.cat([torch.zeros_like(thickness[:, :1]), thickness.cumsum(1)[:, :-1]], 1)
    return torch.exp(-before) * -torch.expm1(-thickness)


def render_at(
    field: RadianceField, rays: Rays, depths: Float[Tensor, "ray sample"], far: Float[Tensor, " ray"]
) -> RayPicture:
    """What rays see, sampled at given increasing depths; differentiable by the rays and by the field."""
    count, samples = depths.shape
    points = rays.origins[:, None] + rays.directions[:, None] * depths[..., None]
    directions = rays.directions[:, None].expand_as(points).reshape(-1, 3)
    held = field(points.reshape(-1, 3), rays.time.repeat_interleave(samples), directions)
    weights = ray_weights(held.density.view(count, samples), depths, far)

    def sums(values: Tensor) -> Tensor:
        return (weights[..., None] * values.view(count, samples, -1)).sum(1)

    return RayPicture(weights.sum(1), sums(held.colour), sums(held.keypoints), sums(held.movement), sums(points))


def render_rays(field: RadianceField, rays: Rays, half: Float[Tensor, "3"], generator: torch.Generator) -> RayPicture:
    """What rays that meet the box see, sampled coarsely everywhere and finely where the field is dense.

    To the gradient the samples stay where they are along the ray: where a camera moves along a ray, that ray sees the
    same, but with samples that went along, each error of the quadrature would look like a reason to move.
    """
    config = field.config
    with torch.no_grad():
        near, far, _ = box_span(rays, half)
        far = torch.maximum(far, near + 1e-6)
        coarse = stratified_depths(near, far, config.coarse_samples, generator)
        points = rays.origins[:, None] + rays.directions[:, None] * coarse[..., None]
        time = rays.time.repeat_interleave(config.coarse_samples)
        density = field.density_at(points.reshape(-1, 3), time).view(coarse.shape)
        weights = ray_weights(density, coarse, far)
        fine = importance_depths(coarse, far, weights, config.fine_samples, generator)
        depths = torch.cat([coarse, fine], 1).sort(1).values
    ahead = ((rays.origins - rays.origins.detach()) * rays.directions.detach()).sum(1)
    return render_at(field, rays, depths - ahead[:, None], far - ahead)
