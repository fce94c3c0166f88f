"""A ray caster for whole batches of worlds, in PyTorch, on any device.

Every pixel has four rays. The sides of a world's box are met by all rays; bodies and limbs only by the rays of the
rectangle that they can touch in the picture. No loops over clips, frames or bodies: the rays of all rectangles stand in
one row. A pinhole's rays advance by one along its +Z, so that how far a ray goes is its depth.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.synthetic.worlds.raycast.bodies import FAR_M, BodyTable, hit_bodies
from understudy.synthetic.worlds.raycast.shading import Hits, Shading, hit_sides, shade
from understudy.synthetic.worlds.raycast.subject import FilmedSubject, cast_subject
from understudy.synthetic.worlds.raycast.views import SAMPLES, View
from understudy.synthetic.worlds.subject import Capsules
from understudy.synthetic.worlds.world import World

__all__ = ["RaycastFrames", "expose"]

RAYS_AT_ONCE = {"cpu": 1 << 16, "cuda": 1 << 23}
"""How many rays are cast together: on a CPU as many as its cache holds."""


@dataclass(frozen=True)
class RaycastFrames:
    """Frames of worlds; colours are sRGB, −1 … 1."""

    empty: Float[Tensor, "frame 3 height width"]
    """Without the subject."""
    depth_m: Float[Tensor, "frame height width"]
    """Of the empty set: the mean over a pixel's four rays of 1/depth, which is exact on planes; the sky is inf."""
    video: Float[Tensor, "frame 3 height width"]
    """With the subject."""
    mask: Float[Tensor, "frame height width"]
    """Coverage of the subject; below `subject.SHADOW` also the opacity of its shadow on the ground."""


def expose(
    world: World,
    clip: Int[Tensor, " frame"],
    T_world_camera: Float[Tensor, "frame 4 4"],
    view: View,
    capsules: Capsules | None = None,
    moment: Int[Tensor, " frame"] | None = None,
) -> RaycastFrames:
    """Film frames of worlds number `clip`; with `capsules`, the subject as it is at time number `moment`.

    Without `capsules` the video is the empty set, and the mask is 0.
    """
    bodies, tables = BodyTable.of(world), Shading.of(world)
    size = (view.height, view.width)
    frames, device = len(clip), T_world_camera.device
    empty = torch.empty((frames, 3, *size), device=device)
    depth = torch.empty((frames, *size), device=device)
    mask = torch.zeros_like(depth)
    video = empty if capsules is None else torch.empty_like(empty)
    step = max(1, RAYS_AT_ONCE[device.type] // (SAMPLES * view.pixels))
    for first in range(0, frames, step):
        some = slice(first, first + step)
        hits, light = _expose_set(world, tables, bodies, clip[some], T_world_camera[some], view)
        four = light.view(3, -1, SAMPLES, view.pixels)
        empty[some] = _developed(four.mean(2)).transpose(0, 1).unflatten(-1, size)
        near = hits.t.view(-1, SAMPLES, view.pixels).reciprocal()
        depth[some] = near.mean(1).reciprocal_().unflatten(-1, size)
        if capsules is None or moment is None:
            continue
        subject = FilmedSubject.of(capsules, clip[some], moment[some], T_world_camera[some])
        layer = cast_subject(world, tables, subject, view, hits, light)
        video[some] = empty[some]
        channels = video[some].flatten(2).transpose(1, 2).flatten(0, 1)
        channels[layer.pixel] = _developed(layer.light).T
        video[some] = channels.view(-1, view.pixels, 3).transpose(1, 2).unflatten(-1, size)
        mask[some].view(-1)[layer.pixel] = layer.coverage
    return RaycastFrames(empty, depth.masked_fill_(depth > 0.1 * FAR_M, torch.inf), video, mask)


def _expose_set(
    world: World,
    tables: Shading,
    bodies: BodyTable,
    clip: Int[Tensor, " frame"],
    T_world_camera: Float[Tensor, "frame 4 4"],
    view: View,
) -> tuple[Hits, Float[Tensor, "3 frame ray"]]:
    hits = hit_sides(tables, clip, T_world_camera, view)
    found = hit_bodies(bodies, clip, T_world_camera, view, hits.directions, hits.t)
    return hits, shade(world, tables, clip, view, hits, found)


def _developed(light: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Linear light as sRGB, −1 … 1. Source: IEC 61966-2-1."""
    light = light.clamp(0.0, 1.0)
    bright = light.clamp(min=0.0031308).pow_(1 / 2.4).mul_(1.055).sub_(0.055)
    return torch.where(light <= 0.0031308, 12.92 * light, bright).mul_(2).sub_(1)
