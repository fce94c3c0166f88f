"""Where a generated frame was filmed from, by analysis by synthesis: the pose that re-renders the known set best.

Exact where structure from motion has nothing to hold on to, down to frames of a few dozen pixels, because the set is
one of our own and can be seen from anywhere. Candidates first, then Levenberg-Marquardt through the ray caster with
finite differences (Gauss-Newton on the picture's difference, Lucas and Kanade 1981), at half and then at full size.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.synthetic.worlds.endless import ClipSizes, SceneDescription
from understudy.synthetic.worlds.raycast.caster import expose
from understudy.synthetic.worlds.raycast.views import View, pinhole_view
from understudy.videogen.encoders.matching import rotation_about

__all__ = ["FoundPoses", "candidate_poses", "find_poses"]

STARTS = 2
"""How many of the candidates are refined, for every frame."""
SIDEWAYS_RAD = tuple(math.radians(degrees) for degrees in (-24, -12, 0, 12, 24))
"""By how much candidates look past the path's own cameras."""
BLUR_PX = {"half": 1.2, "whole": 0.8}
"""Standard deviation of the blur of differences: it widens the basin of a finely textured set."""
ROBUST = 0.25
"""Difference (of −1 … 1) from which a pixel counts less and less: it belongs to a subject, or is drawn wrongly."""
FIRST_STEP_PX, LAST_STEP_PX, LONGEST_STEP_PX = 0.5, 0.06, 6.0
"""How far pictures move in finite differences, and in one step of the descent."""
USUAL_DEPTH_M = 2.5
"""At which a sideways step in metres moves the picture by so many pixels."""
DAMPINGS = (1e-4, 1e-2, 0.3)
ROUNDS = 8
MIN_GAIN, CLOSER = 0.05, 0.4
"""Share of the error that a round must win, or the next differences are taken so much closer."""
NOTHING = 1e-7
"""Error of a frame that is explained."""


@dataclass(frozen=True)
class FoundPoses:
    """What the search found for every frame."""

    T_start_camera: Float[Tensor, "batch frame 4 4"]
    error: Float[Tensor, "batch frame"]
    """Robust mean difference that is left, 0 … 1; high where the frame shows another set, or none."""


def candidate_poses(
    T_start_camera: Float[Tensor, "batch frame 4 4"], T_start_mirrored: Float[Tensor, "batch frame 4 4"]
) -> Float[Tensor, "batch candidate 4 4"]:
    """Where a search starts: every camera of a path and of its mirror image, looking ahead and to both sides."""
    cameras = torch.cat([T_start_camera, T_start_mirrored], 1)
    turns = torch.zeros((len(SIDEWAYS_RAD), 6), device=cameras.device)
    turns[:, 1] = torch.tensor(SIDEWAYS_RAD, device=cameras.device)
    return (cameras[:, :, None] @ _moved(turns)).flatten(1, 2)


@torch.no_grad()
def find_poses(
    scene: SceneDescription,
    sizes: ClipSizes,
    frames: Float[Tensor, "batch frame 3 height width"],
    background: Bool[Tensor, "batch frame height width"],
    candidates: Float[Tensor, "batch candidate 4 4"],
) -> FoundPoses:
    """The pose of each frame, each by itself, from which the scene's empty set looks most like it.

    Args:
        scene: of all clips of the batch.
        sizes: of the frames, with their field of view.
        frames: sRGB, −1 … 1.
        background: which pixels to compare: those outside the subject.
        candidates: T_start_camera of cameras that the search begins with; see `candidate_poses`.
    """
    batch, count = frames.shape[:2]
    clip = torch.arange(batch, device=frames.device).repeat_interleave(count)
    whole = _Sight(scene, sizes, frames.flatten(0, 1), background.flatten(0, 1).float(), BLUR_PX["whole"])
    half = whole.halved()
    starts = _best_candidates(half, clip, count, candidates)
    # All starts of a frame stand in one row with those of the others.
    every = torch.arange(len(clip), device=clip.device)
    number = every.repeat_interleave(STARTS)
    T, error = _refined(half, number, clip[number], starts.flatten(0, 1), 2 * LAST_STEP_PX)
    T = T[error.view(-1, STARTS).argmin(1) + STARTS * every]
    # The best candidate as it is may be nearer than what half the size could see.
    unmoved, moved = (_error(_residual(whole, every, clip, poses), whole.weight) for poses in (starts[:, 0], T))
    T = torch.where((unmoved < moved)[:, None, None], starts[:, 0], T)
    T, error = _refined(whole, every, clip, T, LAST_STEP_PX)
    return FoundPoses(T.unflatten(0, (batch, count)), error.unflatten(0, (batch, count)))


@dataclass(frozen=True)
class _Sight:
    """Frames to be explained, at one size."""

    scene: SceneDescription
    sizes: ClipSizes
    frames: Float[Tensor, "view 3 height width"]
    weight: Float[Tensor, "view height width"]
    """1: background, 0: subject."""
    blur_px: float

    @property
    def view(self) -> View:
        return pinhole_view(self.sizes.width, self.sizes.height, self.sizes.focal_px, self.frames.device)

    def halved(self) -> "_Sight":
        """The same at half the size; pixels that are partly the subject's are not compared."""
        sizes = ClipSizes(
            self.sizes.frames, self.sizes.height // 2, self.sizes.width // 2, field_rad=self.sizes.field_rad
        )
        size = (sizes.height, sizes.width)
        weight = F.adaptive_avg_pool2d(self.weight[:, None], size)[:, 0]
        return _Sight(
            self.scene, sizes, F.adaptive_avg_pool2d(self.frames, size), (weight > 0.99).float(), BLUR_PX["half"]
        )

    def rendered(self, clip: Int[Tensor, " n"], T: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 3 height width"]:
        """The empty sets from cameras relative to the start view."""
        return expose(self.scene.world, clip, self.scene.T_world_start[clip] @ T, self.view).empty

    def blurred(self, difference: Float[Tensor, "*n 3 height width"]) -> Float[Tensor, "*n 3 height width"]:
        """Differences, smoothed."""
        reach = math.ceil(2 * self.blur_px)
        x = torch.arange(-reach, reach + 1, device=difference.device).float()
        kernel = torch.exp(-0.5 * (x / self.blur_px) ** 2)
        kernel = kernel / kernel.sum()
        flat = difference.reshape(-1, 1, *difference.shape[-2:])
        flat = F.conv2d(flat, kernel[None, None, None, :], padding=(0, reach))
        return F.conv2d(flat, kernel[None, None, :, None], padding=(reach, 0)).view(difference.shape)


def _best_candidates(
    sight: _Sight, clip: Int[Tensor, " view"], count: int, candidates: Float[Tensor, "batch candidate 4 4"]
) -> Float[Tensor, "view start 4 4"]:
    """The candidates of each frame that look most like it, best first."""
    batch, choices = candidates.shape[:2]
    owner = torch.arange(batch, device=clip.device).repeat_interleave(choices)
    seen = sight.rendered(owner, candidates.flatten(0, 1)).unflatten(0, (batch, choices))
    errors = []
    for number in range(len(clip)):
        difference = (seen[clip[number]] - sight.frames[number]) * sight.weight[number]
        errors.append(_error(sight.blurred(difference), sight.weight[number].expand(choices, -1, -1)))
    best = torch.stack(errors).topk(STARTS, largest=False).indices
    return candidates[clip[:, None], best]


def _refined(
    sight: _Sight,
    number: Int[Tensor, " n"],
    clip: Int[Tensor, " n"],
    T_start_camera: Float[Tensor, "n 4 4"],
    last_step_px: float,
) -> tuple[Float[Tensor, "n 4 4"], Float[Tensor, " n"]]:
    """Poses after descent, and the error that is left; `number` says which frame each is compared with.

    Every round tries several dampings at once; where none helps, the next differences are taken closer.
    """
    unit = torch.full((6,), 1 / sight.sizes.focal_px, device=clip.device)
    unit[3:] *= USUAL_DEPTH_M
    dampings = torch.tensor(DAMPINGS, device=clip.device)
    T = T_start_camera.clone()
    residual = _residual(sight, number, clip, T)
    error = _error(residual, sight.weight[number])
    reach_px = torch.full_like(error, FIRST_STEP_PX)
    for _ in range(ROUNDS):
        active = ((reach_px > last_step_px) & (error > NOTHING)).nonzero()[:, 0]
        if not len(active):
            break
        owner, film = number[active], clip[active]
        slope = _slope(sight, owner, film, T[active], unit, reach_px[active])
        steps = _steps(slope, residual[active].flatten(1), _robust_weight(residual[active]).flatten(1), dampings)
        tried = T[active, None] @ _moved(steps * unit)
        owners, films = (index.repeat_interleave(len(dampings)) for index in (owner, film))
        after = _residual(sight, owners, films, tried.flatten(0, 1))
        after_error, best = _error(after, sight.weight[owners]).view(len(active), -1).min(1)
        place = torch.arange(len(active), device=clip.device)
        gain = error[active] - after_error
        better = gain > 0
        changed = active[better]
        T[changed], error[changed] = tried[place, best][better], after_error[better]
        residual[changed] = after.unflatten(0, (len(active), -1))[place, best][better]
        reach_px[active] *= torch.where(gain > MIN_GAIN * after_error, 1.0, CLOSER)
    return T, error


def _slope(
    sight: _Sight,
    number: Int[Tensor, " n"],
    clip: Int[Tensor, " n"],
    T: Float[Tensor, "n 4 4"],
    unit: Float[Tensor, " 6"],
    reach_px: Float[Tensor, " n"],
) -> Float[Tensor, "n 6 value"]:
    """How differences change per pixel of movement along each number of the pose, by central differences."""
    both = torch.cat([torch.eye(6, device=T.device), -torch.eye(6, device=T.device)]) * unit
    nudged = T[:, None] @ _moved(both * reach_px[:, None, None])
    numbers, clips = (index.repeat_interleave(12) for index in (number, clip))
    seen = _residual(sight, numbers, clips, nudged.flatten(0, 1)).flatten(1).unflatten(0, (-1, 12))
    return (seen[:, :6] - seen[:, 6:]) / (2 * reach_px[:, None, None])


def _steps(
    slope: Float[Tensor, "n 6 value"],
    residual: Float[Tensor, "n value"],
    robust: Float[Tensor, "n value"],
    dampings: Float[Tensor, " damping"],
) -> Float[Tensor, "n damping 6"]:
    """Steps in pixels of movement, for every damping."""
    weighted = slope * robust[:, None]
    normal = weighted @ slope.mT
    pull = (weighted @ residual[..., None])[:, None]
    diagonal = torch.diagonal(normal, dim1=1, dim2=2)
    diagonal = diagonal + 1e-3 * diagonal.amax(1, keepdim=True) + 1e-9
    damped = normal[:, None] + torch.diag_embed(dampings[:, None] * diagonal[:, None])
    return -torch.linalg.solve(damped, pull)[..., 0].clamp(-LONGEST_STEP_PX, LONGEST_STEP_PX)


def _residual(
    sight: _Sight, number: Int[Tensor, " n"], clip: Int[Tensor, " n"], T: Float[Tensor, "n 4 4"]
) -> Float[Tensor, "n 3 height width"]:
    """Blurred differences on the background: the subject is cut out first, so that it does not bleed into it."""
    return sight.blurred((sight.rendered(clip, T) - sight.frames[number]) * sight.weight[number][:, None])


def _robust_weight(residual: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n 3 height width"]:
    """Of the Geman-McClure error, per pixel."""
    square = residual.square().mean(1, keepdim=True) / ROBUST**2
    return (1 / (1 + square).square()).expand_as(residual)


def _error(residual: Float[Tensor, "n 3 height width"], weight: Float[Tensor, "n height width"]) -> Float[Tensor, " n"]:
    """The Geman-McClure error, 0 … 1, mean over the background."""
    square = residual.square().mean(1) / ROBUST**2
    return (square / (1 + square) * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1.0)


def _moved(step: Float[Tensor, "*n 6"]) -> Float[Tensor, "*n 4 4"]:
    """A camera turned by a rotation vector and moved by metres, both in its own axes."""
    T = torch.zeros((*step.shape[:-1], 4, 4), device=step.device)
    T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = rotation_about(step[..., :3]), step[..., 3:], 1.0
    return T
