"""Rays of patches and points of a set, as numbers that a network can compare.

All in the start frame of a clip: the first camera's, OpenCV axes, metres.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "ASIDE_NUMBERS",
    "FARTHEST_M",
    "POINT_NUMBERS",
    "RAY_FEATURES",
    "centres",
    "passing_numbers",
    "patch_points",
    "plucker_rays",
    "point_numbers",
    "points_of",
    "ray_features",
]

RAY_FREQUENCIES = (2.0, 4.0, 8.0)
"""Of directions, in radians per unit: the shortest wave spans about 45°."""
MOMENT_FREQUENCIES = (0.5, 1.0, 2.0)
"""Of moments, in radians per metre."""
RAY_FEATURES = 6 + 2 * 3 * (len(RAY_FREQUENCIES) + len(MOMENT_FREQUENCIES))
ASIDE_NUMBERS = 10
"""Of a point's or a ray's numbers, those whose products sum to how far the ray passes it by."""
POINT_NUMBERS = ASIDE_NUMBERS + 4
NEAREST_M = 0.5
"""Points nearer to the start than this are divided by it instead of their distance: they keep their direction."""
FARTHEST_M = 100.0
"""How far away the sky is taken to be."""


def centres(rows: int, columns: int, like: Tensor, patch_px: int = 1) -> Float[Tensor, "token 3"]:
    """Centres (x, y, 1) of patches in pixels, row by row; the centre of the first pixel is (0.5, 0.5)."""
    x = (torch.arange(columns, device=like.device, dtype=like.dtype) + 0.5) * patch_px
    y = (torch.arange(rows, device=like.device, dtype=like.dtype) + 0.5) * patch_px
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y, torch.ones_like(grid_x)], -1).reshape(-1, 3)


def points_of(
    depth_m: Float[Tensor, "batch picture height width"],
    K: Float[Tensor, "batch 3 3"],
    T_start_picture: Float[Tensor, "batch picture 4 4"],
) -> Float[Tensor, "batch picture pixel 3"]:
    """The pixels of pictures as points in the start frame; `depth_m` is along each camera's +Z."""
    height, width = depth_m.shape[-2:]
    directions = centres(height, width, K) @ torch.linalg.inv(K).mT
    points = depth_m.flatten(2)[..., None] * directions[:, None]
    return points @ T_start_picture[..., :3, :3].mT + T_start_picture[..., None, :3, 3]


def plucker_rays(
    T_start_camera: Float[Tensor, "batch picture 4 4"],
    K: Float[Tensor, "batch 3 3"],
    rows: int,
    columns: int,
    patch_px: int,
) -> Float[Tensor, "batch picture token 6"]:
    """Rays through the centres of patches: unit direction, and moment origin × direction in metres; start frame.

    Source: Plücker 1865; Zhang et al. 2024, Cameras as rays.
    """
    directions_camera = F.normalize(centres(rows, columns, K, patch_px) @ torch.linalg.inv(K).mT, dim=-1)
    directions = torch.einsum("bpij,btj->bpti", T_start_camera[..., :3, :3], directions_camera)
    origins = T_start_camera[..., None, :3, 3].expand_as(directions)
    return torch.cat([directions, torch.linalg.cross(origins, directions)], -1)


def ray_features(rays: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch feature"]:
    """RAY_FEATURES numbers per ray: its own six, and waves of them that tell neighbours apart."""
    direction, moment = rays[..., :3], rays[..., 3:]
    waves = [direction * frequency for frequency in RAY_FREQUENCIES]
    waves += [moment * frequency for frequency in MOMENT_FREQUENCIES]
    phases = torch.cat(waves, -1)
    return torch.cat([rays, phases.sin(), phases.cos()], -1)


def point_numbers(points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 14"]:
    """Numbers of points whose products with a ray's `passing_numbers` say where the ray passes them.

    With u = X / |X|: the products of u's parts, u / |X|, 1 / |X|²; and u, 1 / |X|. They are means over the points of a
    patch as well, because everything said of them is linear.
    """
    distance = points.norm(dim=-1, keepdim=True).clamp(min=NEAREST_M)
    unit, inverse = points / distance, 1 / distance
    x, y, z = unit.unbind(-1)
    products = torch.stack([x * x, y * y, z * z, x * y, x * z, y * z], -1)
    return torch.cat([products, unit * inverse, inverse.square(), unit, inverse], -1)


def passing_numbers(
    T_start_camera: Float[Tensor, "batch picture 4 4"], rays: Float[Tensor, "batch picture token 6"]
) -> Float[Tensor, "batch picture token 14"]:
    """Numbers of Plücker rays whose products with `point_numbers` of X say where they pass X, as seen from the start.

    With origin o, direction d, moment m = o × d: the first ASIDE_NUMBERS sum to the squared distance of X from the ray,
    |X × d − m|² / |X|² = uᵀ(1 − d dᵀ)u − 2 u·(d × m) / |X| + |m|² / |X|²; the others to how far ahead of the camera X
    lies, (X − o)·d / |X|. So "these patches see the same place" is one product of two vectors, as attention compares.
    """
    direction, moment = rays[..., :3], rays[..., 3:]
    x, y, z = direction.unbind(-1)
    products = torch.stack([1 - x * x, 1 - y * y, 1 - z * z, -2 * x * y, -2 * x * z, -2 * y * z], -1)
    nearest = torch.linalg.cross(direction, moment)  # the ray's point that is nearest to the start
    origin = T_start_camera[..., None, :3, 3]
    behind = -(origin * direction).sum(-1, keepdim=True)
    return torch.cat([products, -2 * nearest, moment.square().sum(-1, keepdim=True), direction, behind], -1)


def patch_points(
    depth_m: Float[Tensor, "batch picture height width"],
    K: Float[Tensor, "batch 3 3"],
    T_start_picture: Float[Tensor, "batch picture 4 4"],
    rows: int,
    columns: int,
) -> Float[Tensor, "batch picture token 14"]:
    """Where the patches of pictures lie: means of `point_numbers` over their pixels.

    `depth_m` is along each camera's +Z, inf for the sky, K in pixels of it.
    """
    depth_m = torch.where(depth_m.isinf(), FARTHEST_M, depth_m)
    numbers = point_numbers(points_of(depth_m, K, T_start_picture))
    maps = numbers.flatten(0, 1).mT.unflatten(-1, depth_m.shape[-2:])
    return F.adaptive_avg_pool2d(maps, (rows, columns)).flatten(2).mT.unflatten(0, depth_m.shape[:2])
