"""Explicit 3D guidance: the set's pictures as a point cloud, seen along the camera path.

The baseline that CineScene's implicit geometry is measured against (as GEN3C, Ren et al. 2025, does it).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.videogen.transformer.rays import FARTHEST_M, points_of

__all__ = ["render_point_cloud"]

NEAREST_M = 0.05
DEPTH_STEPS = 1 << 20


def render_point_cloud(
    pictures: Float[Tensor, "batch picture 3 size size"],
    depth_m: Float[Tensor, "batch picture size size"],
    T_start_picture: Float[Tensor, "batch picture 4 4"],
    K_picture: Float[Tensor, "batch 3 3"],
    T_start_camera: Float[Tensor, "batch frame 4 4"],
    K: Float[Tensor, "batch 3 3"],
    height: int,
    width: int,
) -> Float[Tensor, "batch frame 4 height width"]:
    """Every pixel as a point of its colour, splatted on the nearest pixel, the nearest point in front.

    The fourth channel is 1 where a point landed; elsewhere the colour is 0. Depth is along each picture's +Z.
    Points without a depth (the sky) are put at FARTHEST_M.
    """
    batch = len(pictures)
    frames = T_start_camera.shape[1]
    points = points_of(depth_m.clamp(max=FARTHEST_M), K_picture, T_start_picture).flatten(1, 2)
    colours = pictures.movedim(2, -1).reshape(batch, -1, 3)
    T_camera_start = torch.linalg.inv(T_start_camera)
    seen = torch.einsum("bfij,bnj->bfni", T_camera_start[..., :3, :3], points) + T_camera_start[..., None, :3, 3]
    z = seen[..., 2]
    pixels = torch.einsum("bij,bfnj->bfni", K, seen)[..., :2] / z.clamp(min=NEAREST_M)[..., None]
    column, row = pixels.floor().long().unbind(-1)
    inside = (z > NEAREST_M) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    # Depth in the upper bits and the point's number in the lower: one minimum finds the nearest point.
    count = points.shape[1]
    step = (z.clamp(NEAREST_M, 2 * FARTHEST_M) / (2 * FARTHEST_M) * DEPTH_STEPS).long()
    key = step * count + torch.arange(count, device=points.device)
    nothing = torch.iinfo(torch.int64).max
    place = torch.where(inside, row * width + column, height * width)
    nearest = torch.full((batch, frames, height * width + 1), nothing, device=points.device)
    nearest = nearest.scatter_reduce(2, place, key, "amin")[..., :-1]
    hit = nearest != nothing
    winner = torch.where(hit, nearest % count, 0)
    clip = torch.arange(batch, device=points.device)[:, None, None]
    guide = torch.cat([colours[clip, winner] * hit[..., None], hit[..., None].to(colours)], -1)
    return guide.mT.reshape(batch, frames, 4, height, width)
