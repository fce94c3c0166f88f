"""VGGT's nine numbers per camera, and points from depth.

An encoding is: translation of the world-to-camera transform (3), its rotation as a unit quaternion **x, y, z, w** (4;
our own quaternions are wxyz), and the field of view, vertical then horizontal, in radians (2). The principal point is
taken to be the picture's centre. Source: Wang et al., VGGT (CVPR 2025, section 3.1).
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["cameras_from_encoding", "encode_cameras", "inverse_rigid", "unproject"]


def encode_cameras(
    T_camera_world: Float[Tensor, "*batch 3 4"], K: Float[Tensor, "*batch 3 3"], height: int, width: int
) -> Float[Tensor, "*batch 9"]:
    """The encoding of cameras whose pictures have `height` × `width` pixels; the quaternion's w is not negative."""
    view = 2 * torch.atan(torch.stack([height / 2 / K[..., 1, 1], width / 2 / K[..., 0, 0]], -1))
    return torch.cat([T_camera_world[..., 3], _quaternion(T_camera_world[..., :3]), view], -1)


def cameras_from_encoding(
    encoding: Float[Tensor, "*batch 9"], height: int, width: int
) -> tuple[Float[Tensor, "*batch 3 4"], Float[Tensor, "*batch 3 3"]]:
    """World-to-camera transforms (OpenCV axes), intrinsics in pixels; the quaternion may have any length and sign."""
    T_camera_world = torch.cat([_rotation(encoding[..., 3:7]), encoding[..., :3, None]], -1)
    K = torch.zeros(*encoding.shape[:-1], 3, 3, dtype=encoding.dtype, device=encoding.device)
    K[..., 0, 0] = width / 2 / torch.tan(encoding[..., 8] / 2)
    K[..., 1, 1] = height / 2 / torch.tan(encoding[..., 7] / 2)
    K[..., 0, 2] = width / 2
    K[..., 1, 2] = height / 2
    K[..., 2, 2] = 1.0
    return T_camera_world, K


def inverse_rigid(T_a_b: Float[Tensor, "*batch rows 4"]) -> Float[Tensor, "*batch 4 4"]:
    """The inverse of rotations and translations, given as 3 × 4 or 4 × 4."""
    R_b_a = T_a_b[..., :3, :3].transpose(-1, -2)
    t = -R_b_a @ T_a_b[..., :3, 3:]
    last = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=t.dtype, device=t.device).expand(*t.shape[:-2], 1, 4)
    return torch.cat([torch.cat([R_b_a, t], -1), last], -2)


def unproject(
    depth: Float[Tensor, "*batch height width"],
    T_camera_world: Float[Tensor, "*batch rows 4"],
    K: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, "*batch height width 3"]:
    """World points of depth along +Z, in depth's unit.

    VGGT's pixels lie at whole numbers ((0, 0) is the centre of the first), half a pixel from our convention.
    """
    height, width = depth.shape[-2:]
    u = torch.arange(width, dtype=depth.dtype, device=depth.device)
    v = torch.arange(height, dtype=depth.dtype, device=depth.device)[:, None]
    focal_x, focal_y = K[..., 0, 0, None, None], K[..., 1, 1, None, None]
    x = (u - K[..., 0, 2, None, None]) / focal_x * depth
    y = (v - K[..., 1, 2, None, None]) / focal_y * depth
    T_world_camera = inverse_rigid(T_camera_world)[..., None, None, :, :]
    points = torch.stack([x, y, depth], -1)[..., None]
    return (T_world_camera[..., :3, :3] @ points + T_world_camera[..., :3, 3:])[..., 0]


def _rotation(xyzw: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    x, y, z, w = torch.nn.functional.normalize(xyzw, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _quaternion(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternions xyzw with w ≥ 0.

    Each row of the table is the quaternion times four times one of its components; the row of the largest component
    loses no digits.
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in R.unbind(-2))
    table = [
        [1 + a - e - i, b + d, c + g, h - f],
        [b + d, 1 - a + e - i, f + h, c - g],
        [c + g, f + h, 1 - a - e + i, d - b],
        [h - f, c - g, d - b, 1 + a + e + i],
    ]
    products = torch.stack([torch.stack(row, -1) for row in table], -2)
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    chosen = products.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :]
    chosen = torch.nn.functional.normalize(chosen, dim=-1)
    return torch.where(chosen[..., 3:] < 0, -chosen, chosen)
