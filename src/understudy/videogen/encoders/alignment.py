"""Rotations between pictures from one place, refined on the pictures themselves.

What two pictures both show must look alike: coarse to fine, all pictures of a set together (Lucas and Kanade 1981; for
panoramas: Szeliski and Shum 1997). That sharpens rotations that are right within some ten degrees; a picture that is
not, and would agree much better elsewhere along the horizon, is put there first.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from understudy.videogen.encoders.matching import cell_directions, cross_matrix, pairs_of, rotation_about

__all__ = ["align_rotations"]

COARSE, *FINER = ((3.0, 12, 5), (1.5, 16, 4), (0.7, 24, 4))
"""Blur in pixels of a picture of 48, rays along its side, and steps."""
TURNS = 60
"""Places along the horizon where a picture may be put."""
ROUGH = 0.02
"""Difference of a ray from its picture's mean colour from which it tells something."""
MIN_GAIN = 0.05
"""By how much better (of 0 … 1) it must agree there."""
UNKNOWN, UNKNOWN_RAYS = 0.6, 20.0
"""The disagreement that is expected where nothing overlaps, and as how many rays this counts."""
DESIGN_PX = 48
EDGE = 0.94
"""How far out, of half a picture's width, rays still count."""
MIN_OVERLAP = 0.06
"""Share of a picture's rays below which a pair says nothing."""
ROBUST = 0.15
"""Difference (of −1 … 1) from which a ray counts less and less: something stands in between, or is not there."""
LIKELY_RAD = math.radians(6.0)
"""How far off the rotations may be at first."""
NOISE = 0.25
"""Standard deviation that a ray's difference is taken for: neighbouring rays are not independent."""
LONGEST_RAD = math.radians(6.0)
"""Of a step."""


@torch.no_grad()
def align_rotations(
    pictures: Float[Tensor, "batch picture 3 size size"],
    R_start_picture: Float[Tensor, "batch picture 3 3"],
    half_width: float,
) -> Float[Tensor, "batch picture 3 3"]:
    """Rotations under which overlapping pictures agree; the first picture's stays.

    `half_width` is the tangent of half the pictures' field of view.
    """
    scale = pictures.shape[-1] / DESIGN_PX
    R = _refined(pictures, R_start_picture, COARSE, scale, half_width)
    blurred = _blurred(pictures, COARSE[0] * scale)
    R = _put_where_they_agree(blurred, cell_directions(COARSE[1], half_width).to(pictures), R, half_width)
    for level in FINER:
        R = _refined(pictures, R, level, scale, half_width)
    return R


def _refined(
    pictures: Float[Tensor, "batch picture 3 size size"],
    R_first: Float[Tensor, "batch picture 3 3"],
    level: tuple[float, int, int],
    scale: float,
    half_width: float,
) -> Float[Tensor, "batch picture 3 3"]:
    blur, side, steps = level
    maps = _with_slopes(_blurred(pictures, blur * scale))
    directions = cell_directions(side, half_width).to(pictures)
    R = R_first
    for _ in range(steps):
        R = _step(maps, directions, R, R_first, half_width)
    return R


def _put_where_they_agree(
    pictures: Float[Tensor, "batch picture 3 size size"],
    directions: Float[Tensor, "ray 3"],
    R: Float[Tensor, "batch picture 3 3"],
    half_width: float,
) -> Float[Tensor, "batch picture 3 3"]:
    """In every round that picture of each set is put elsewhere which gains most by it; until none gains."""
    batch, count = R.shape[:2]
    angle = torch.arange(TURNS, device=R.device) * (2 * math.pi / TURNS)
    turns = rotation_about(F.pad(angle[:, None], (1, 1)))
    own = (directions[:, :2] / directions[:, 2:] / half_width).expand(batch * count, -1, -1)
    mine = _sampled(pictures.flatten(0, 1), own).unflatten(0, (batch, count))
    R = R.clone()
    sets = torch.arange(batch, device=R.device)
    for _ in range(count - 1):
        errors = torch.stack(
            [
                _errors_elsewhere(pictures[sets], mine[sets], directions, R[sets], turns, one, half_width)
                for one in range(1, count)
            ],
            1,
        )
        least, where = errors.min(2)
        gain, one = (errors[..., 0] - least).max(1)
        moved = gain > MIN_GAIN
        turn = turns[where.gather(1, one[:, None])[:, 0]][moved]
        sets, one = sets[moved], one[moved] + 1  # only where something moved can another picture gain now
        if not len(sets):
            break
        R[sets, one] = turn @ R[sets, one]
    return R


def _errors_elsewhere(
    pictures: Float[Tensor, "batch picture 3 size size"],
    mine: Float[Tensor, "batch picture ray 3"],
    directions: Float[Tensor, "ray 3"],
    R: Float[Tensor, "batch picture 3 3"],
    turns: Float[Tensor, "turn 3 3"],
    one: int,
    half_width: float,
) -> Float[Tensor, "batch turn"]:
    """How badly one picture would agree with all others if it were turned."""
    others = [number for number in range(R.shape[1]) if number != one]
    R_one_other = (turns @ R[:, one, None])[:, :, None].mT @ R[:, None, others]
    there = directions @ R_one_other.mT
    place = there[..., :2] / there[..., 2:].clamp(min=1e-3) / half_width
    inside = ((there[..., 2] > 1e-3) & (place.abs() < EDGE).all(-1)).float()
    seen = _sampled(pictures[:, one], place.flatten(1, 3)).unflatten(1, place.shape[1:4])
    # That two plain walls look alike tells nothing.
    rough = (mine[:, others] - mine[:, others].mean(2, keepdim=True)).square().mean(-1).sqrt()
    counts = inside * (rough / (rough + ROUGH))[:, None]
    square = (seen - mine[:, None, others]).square().mean(-1) / ROBUST**2
    wrong = (square / (1 + square) * counts).sum((2, 3)) + UNKNOWN * UNKNOWN_RAYS
    return wrong / (counts.sum((2, 3)) + UNKNOWN_RAYS)


def _step(
    maps: Float[Tensor, "batch picture 9 size size"],
    directions: Float[Tensor, "ray 3"],
    R: Float[Tensor, "batch picture 3 3"],
    R_first: Float[Tensor, "batch picture 3 3"],
    half_width: float,
) -> Float[Tensor, "batch picture 3 3"]:
    """One damped Gauss-Newton step of all rotations but the first, each about its picture's own axes."""
    batch, count = R.shape[:2]
    i, j = (index.to(R.device) for index in pairs_of(count))
    R_j_i = R[:, j].mT @ R[:, i]
    there = directions @ R_j_i.mT
    difference, slope, weight = _compared(maps, directions, there, i, j, half_width)
    # d(u, v) / d(direction), in halves of the picture's width; then by a turn of picture j about its own axes.
    z = there[..., 2].clamp(min=1e-3)
    none = torch.zeros_like(z)
    to_place = torch.stack(
        [1 / z, none, -there[..., 0] / z**2, none, 1 / z, -there[..., 1] / z**2], -1
    ).unflatten(-1, (2, 3)) / half_width  # fmt: skip
    A = slope @ to_place @ cross_matrix(there)
    A, difference = A.flatten(2, 3), difference.flatten(2)
    weighted = A * weight.repeat_interleave(3, 2)[..., None]
    H, g = weighted.mT @ A, (weighted.mT @ difference[..., None])[..., 0]
    # A turn of picture i moves the ray by −R_j_i as much.
    H_i_j, g_i = -R_j_i.mT @ H, -(R_j_i.mT @ g[..., None])[..., 0]
    normal = R.new_zeros(batch, count, count, 3, 3)
    pull = R.new_zeros(batch, count, 3)
    for pair in range(len(i)):
        a, b = int(i[pair]), int(j[pair])
        normal[:, b, b] += H[:, pair]
        normal[:, a, a] += R_j_i[:, pair].mT @ H[:, pair] @ R_j_i[:, pair]
        normal[:, a, b] += H_i_j[:, pair]
        normal[:, b, a] += H_i_j[:, pair].mT
        pull[:, b] += g[:, pair]
        pull[:, a] += g_i[:, pair]
    prior = (NOISE / LIKELY_RAD) ** 2
    off = _turn_of(R_first.mT @ R)
    normal[:, range(count), range(count)] += prior * torch.eye(3, device=R.device)
    pull = pull + prior * off
    free = normal[:, 1:, 1:].transpose(2, 3).flatten(3, 4).flatten(1, 2)
    turn = -torch.linalg.solve(free, pull[:, 1:].flatten(1)).unflatten(1, (count - 1, 3))
    turn = turn * (LONGEST_RAD / turn.norm(dim=-1, keepdim=True).clamp(min=LONGEST_RAD))
    return torch.cat([R[:, :1], R[:, 1:] @ rotation_about(turn)], 1)


def _compared(
    maps: Float[Tensor, "batch picture 9 size size"],
    directions: Float[Tensor, "ray 3"],
    there: Float[Tensor, "batch pair ray 3"],
    i: Tensor,
    j: Tensor,
    half_width: float,
) -> tuple[Float[Tensor, "batch pair ray 3"], Float[Tensor, "batch pair ray 3 2"], Float[Tensor, "batch pair ray"]]:
    """Colours of picture j less those of i along the same rays, the slopes of j's colours, and how rays count."""
    batch, pairs = there.shape[:2]
    place = there[..., :2] / there[..., 2:].clamp(min=1e-3) / half_width
    inside = ((there[..., 2] > 1e-3) & (place.abs() < EDGE).all(-1)).float()
    inside = inside * (inside.mean(-1, keepdim=True) > MIN_OVERLAP)
    seen = _sampled(maps[:, j].flatten(0, 1), place.flatten(0, 1)).unflatten(0, (batch, pairs))
    own = (directions[:, :2] / directions[:, 2:] / half_width).expand(batch * maps.shape[1], -1, -1)
    mine = _sampled(maps[:, :, :3].flatten(0, 1), own).unflatten(0, (batch, -1))[:, i]
    difference = seen[..., :3] - mine
    slope = torch.stack([seen[..., 3:6], seen[..., 6:]], -1)
    square = difference.square().mean(-1) / ROBUST**2
    return difference, slope, inside / (1 + square).square()


def _sampled(
    maps: Float[Tensor, "n channel size size"], place: Float[Tensor, "n ray 2"]
) -> Float[Tensor, "n ray channel"]:
    return F.grid_sample(maps, place[:, None], "bilinear", "border", align_corners=False)[:, :, 0].mT


def _with_slopes(pictures: Float[Tensor, "batch picture 3 size size"]) -> Float[Tensor, "batch picture 9 size size"]:
    """Colours, and how they change per half of the picture's width to the right and down."""
    padded = F.pad(pictures.flatten(0, 1), (1, 1, 1, 1), mode="replicate")
    per_half = pictures.shape[-1] / 2 / 2
    right = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) * per_half
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) * per_half
    return torch.cat([pictures.flatten(0, 1), right, down], 1).unflatten(0, pictures.shape[:2])


def _blurred(
    pictures: Float[Tensor, "batch picture 3 size size"], sigma_px: float
) -> Float[Tensor, "batch picture 3 size size"]:
    """As two products with a matrix: a convolution with a few channels is many times slower on CPUs."""
    reach, size = max(1, math.ceil(2.5 * sigma_px)), pictures.shape[-1]
    x = torch.arange(-reach, reach + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (x / sigma_px) ** 2).to(pictures.dtype)
    row = torch.arange(size, device=pictures.device)[:, None]
    mix = pictures.new_zeros(size, size).index_put_(
        (row.expand(-1, len(x)), (row + x).clamp(0, size - 1)), (kernel / kernel.sum()).expand(size, -1), True
    )
    return mix @ pictures @ mix.T


def _turn_of(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """The rotation vector of a small rotation."""
    return torch.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1) / 2
