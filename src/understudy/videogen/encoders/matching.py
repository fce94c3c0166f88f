"""Which directions two pictures from one place share, and the rotations that follow.

Pictures are square with a known field of view, cut into cells; every cell has a direction in its camera's axes
(OpenCV). Pairs of pictures (i, j), i < j, are those of `pairs_of`. There are no weights here, only geometry.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "YAWS",
    "Matches",
    "cell_directions",
    "cross_matrix",
    "matching_loss",
    "pairs_of",
    "rotation_about",
    "rotations_of_pairs",
    "synchronise",
    "yaw_votes",
]

YAW_STEP_RAD = math.radians(4.0)
YAWS = 41
"""Angles that are voted on: −80° … 80°; pictures of 90° that are turned further apart share next to nothing."""
REFINEMENTS = 3
AGREEMENT_RAD = 0.1
"""How far a match may lie from the common rotation and still count."""
PRIOR = 0.02
"""Weight of what the votes say against that of all matches of a whole picture."""
OUTSIDE_WEIGHT = 0.3
"""Of cells that the other picture does not show: there are many, and they teach little."""
ROUNDS = 6
"""Of synchronisation: rotations travel from the first picture over at most so many neighbours."""
WEAK = 0.03
"""Surety of a pair below which it says little."""


@dataclass(frozen=True)
class Matches:
    """What the correlation of every pair of pictures says."""

    forward: Float[Tensor, "batch pair cell choice"]
    """For each cell of picture i, the log share of each cell of j that it shows the same; last: none does."""
    backward: Float[Tensor, "batch pair cell choice"]
    """The same from j to i."""
    yaw: Float[Tensor, "batch pair angle"]
    """Log share of each of the YAWS angles by which R_j_i turns about +Y; last: they share nothing."""


def pairs_of(pictures: int) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Numbers i and j of all pairs of pictures."""
    i, j = torch.triu_indices(pictures, pictures, 1)
    return i, j


def cell_directions(side: int, half_width: float) -> Float[Tensor, "cell 3"]:
    """Unit directions of the cells' centres, row by row; `half_width` is the tangent of half the field of view."""
    axis = ((torch.arange(side) + 0.5) / side * 2 - 1) * half_width
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return F.normalize(torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3), dim=-1)


def cross_matrix(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix that takes a vector's cross product: `cross_matrix(v) @ p = v × p`."""
    x, y, z = v.unbind(-1)
    none = torch.zeros_like(x)
    return torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).unflatten(-1, (3, 3))


def rotation_about(turn: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation about a vector by its length in radians (Rodrigues)."""
    squared = turn.square().sum(-1)[..., None, None] + 1e-12
    angle = squared.sqrt()
    cross = cross_matrix(turn)
    identity = torch.eye(3, device=turn.device)
    return identity + angle.sin() / angle * cross + (1 - angle.cos()) / squared * (cross @ cross)


def yaw_votes(side: int, half_width: float) -> Float[Tensor, "angle cell cell"]:
    """For each of the YAWS angles of R_j_i, how much the likeness of a cell of i to a cell of j counts (bilinear)."""
    angle = (torch.arange(YAWS) - YAWS // 2) * YAW_STEP_RAD
    placed = _placed(rotation_about(F.pad(angle[:, None], (1, 1))), side, half_width)
    votes = torch.zeros(YAWS, side * side, side * side)
    votes.scatter_add_(2, placed.corner, placed.weight * placed.inside[..., None])
    return (votes + votes.flip(0).mT) / 2  # so that it is all one which picture of a pair comes first


def matching_loss(
    matches: Matches, R_j_i: Float[Tensor, "batch pair 3 3"], side: int, half_width: float
) -> Float[Tensor, ""]:
    """Cross-entropies against the truth: of the cells' matches, both ways, and of the angles."""
    forward = _cell_loss(matches.forward, _placed(R_j_i, side, half_width))
    backward = _cell_loss(matches.backward, _placed(R_j_i.mT, side, half_width))
    yaw = torch.atan2(R_j_i[..., 0, 2], R_j_i[..., 2, 2])
    place = yaw / YAW_STEP_RAD + YAWS // 2
    known = (place > -0.5) & (place < YAWS - 0.5)
    low = place.clamp(0, YAWS - 1).floor().clamp(max=YAWS - 2)
    share = (place.clamp(0, YAWS - 1) - low)[..., None]
    both = matches.yaw.gather(-1, torch.stack([low, low + 1], -1).long())
    angle = torch.where(known, -(both * torch.cat([1 - share, share], -1)).sum(-1), -matches.yaw[..., -1])
    return (forward + backward) / 2 + angle.mean()


@dataclass(frozen=True)
class Placed:
    """Where the cells of one picture lie in another: among four cells of it."""

    corner: Int[Tensor, "*batch cell 4"]
    weight: Float[Tensor, "*batch cell 4"]
    inside: Bool[Tensor, "*batch cell"]


def _placed(R_other_own: Float[Tensor, "*batch 3 3"], side: int, half_width: float) -> Placed:
    there = cell_directions(side, half_width).to(R_other_own) @ R_other_own.mT
    # In cells of the other picture; the centre of the first cell is (0, 0).
    place = (there[..., :2] / there[..., 2:].clamp(min=1e-3) / half_width + 1) / 2 * side - 0.5
    inside = (there[..., 2] > 1e-3) & (place > -0.5).all(-1) & (place < side - 0.5).all(-1)
    low = place.clamp(0, side - 1).floor().clamp(max=side - 2)
    (x, y), (right, down) = low.long().unbind(-1), (place.clamp(0, side - 1) - low).unbind(-1)
    corner = torch.stack([y * side + x, y * side + x + 1, (y + 1) * side + x, (y + 1) * side + x + 1], -1)
    weight = torch.stack([(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down], -1)
    return Placed(corner, weight, inside)


def _cell_loss(log_share: Float[Tensor, "batch pair cell choice"], placed: Placed) -> Float[Tensor, ""]:
    seen = -(placed.weight * log_share.gather(-1, placed.corner)).sum(-1)
    inside, outside = placed.inside.float(), (~placed.inside).float()
    found = (seen * inside).sum() / inside.sum().clamp(min=1)
    return found + OUTSIDE_WEIGHT * (-log_share[..., -1] * outside).sum() / outside.sum().clamp(min=1)


@torch.no_grad()
def rotations_of_pairs(
    matches: Matches, directions: Float[Tensor, "cell 3"]
) -> tuple[Float[Tensor, "batch pair 3 3"], Float[Tensor, "batch pair"]]:
    """R_j_i of each pair, and how sure it is (0 … 1).

    The votes' best angle comes first. Then matched directions are mapped onto each other as well as can be, those far
    from the common rotation counting less (iteratively reweighted least squares over Kabsch's solution).
    """
    share = matches.yaw.exp()
    best = share[..., :-1].argmax(-1)
    near = (torch.arange(YAWS, device=best.device) - best[..., None]).abs() <= 1
    close = share[..., :-1] * near
    sure = close.sum(-1)
    angle = (close * (torch.arange(YAWS, device=best.device) - YAWS // 2)).sum(-1) / sure.clamp(min=1e-12)
    R = voted = rotation_about(F.pad(angle[..., None] * YAW_STEP_RAD, (1, 1)))
    spread = directions.T @ directions * PRIOR
    prior = (voted @ spread + spread @ voted) / 2
    weight = (matches.forward[..., :-1] + matches.backward[..., :-1].mT).exp()
    for _ in range(REFINEMENTS):
        cosine = (directions @ R.mT) @ directions.T
        agreeing = weight * torch.exp((cosine - 1) / AGREEMENT_RAD**2)
        R = _kabsch(directions.T @ agreeing.mT @ directions + prior)
    return R, sure


@torch.no_grad()
def synchronise(
    R_j_i: Float[Tensor, "batch pair 3 3"], sure: Float[Tensor, "batch pair"], pictures: int
) -> tuple[Float[Tensor, "batch picture 3 3"], Float[Tensor, "batch picture"]]:
    """Rotations R_start_picture of all pictures, the first being the start, and how well each is held (0 … 1).

    Every round each picture takes the mean of what its neighbours say, weighted by how sure the pair is and by how well
    they are held themselves. Source: rotation averaging (Hartley et al., IJCV 2013).
    """
    batch = len(R_j_i)
    i, j = (index.to(R_j_i.device) for index in pairs_of(pictures))
    weight = R_j_i.new_zeros(batch, pictures, pictures)
    weight[:, i, j] = weight[:, j, i] = sure.square()
    R_own_other = torch.eye(3, device=R_j_i.device).repeat(batch, pictures, pictures, 1, 1)
    R_own_other[:, j, i], R_own_other[:, i, j] = R_j_i, R_j_i.mT
    identity = torch.eye(3, device=R_j_i.device)
    R = identity.repeat(batch, pictures, 1, 1)
    held = R_j_i.new_zeros(batch, pictures)
    held[:, 0] = 1.0
    for _ in range(ROUNDS):
        said = torch.einsum("boij,bpojk->bpoik", R, R_own_other.mT)
        vote = weight * held[:, None]
        # The little identity decides where nobody says anything.
        R = _kabsch((vote[..., None, None] * said).sum(2) + 1e-9 * identity)
        held = vote.sum(2) / (vote.sum(2) + WEAK**2)
        R[:, 0], held[:, 0] = identity, 1.0
    return R, held


def _kabsch(H: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation nearest to a sum of weighted products."""
    scale = H.abs().amax((-2, -1), keepdim=True).clamp(min=1e-20)
    U, _, Vh = torch.linalg.svd(H / scale)
    flip = torch.ones_like(H[..., 0])
    flip[..., 2] = torch.linalg.det(U @ Vh).sign()
    return (U * flip[..., None, :]) @ Vh
