"""The three things that are asked of the field's picture, each compared with what the actor shows, and smoothness.

Source: DreamCinema, section III-D: the instance (mask), the semantic (keypoints) and the motion (flow) loss.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "Cameras",
    "SeenSurface",
    "Shown",
    "instance_loss",
    "motion_loss",
    "semantic_loss",
    "shown",
    "smoothness_loss",
]

_KNEE = 2.0
"""Errors of more tolerances than this cost their length, no longer their square."""


@dataclass(frozen=True)
class Cameras:
    """One camera per moment."""

    R_world_camera: Float[Tensor, "moment 3 3"]
    position: Float[Tensor, "moment 3"]
    K: Float[Tensor, "moment 3 3"]


@dataclass(frozen=True)
class SeenSurface:
    """What some pixels of each moment's picture see, premultiplied by `alpha`; see `BodyPictures`."""

    alpha: Float[Tensor, "moment pixel"]
    keypoints: Float[Tensor, "moment pixel keypoint"]
    movement: Float[Tensor, "moment pixel 3"]
    points: Float[Tensor, "moment pixel 3"]


@dataclass(frozen=True)
class Shown:
    """What is compared of a body."""

    alpha: Float[Tensor, "moment pixel"]
    keypoints_px: Float[Tensor, "moment keypoint 2"]
    """The middle of the visible surface around each keypoint."""
    visible: Float[Tensor, "moment keypoint"]
    """How many pixels' worth of it there are."""
    flow_px: Float[Tensor, "pair keypoint 2"]
    """How it moves to the next moment's picture, camera and body together."""


def shown(surface: SeenSurface, pixels: Float[Tensor, "moment pixel 2"], cameras: Cameras) -> Shown:
    """Reduce what pixels see to a mask, keypoints and their flow."""
    # Once more by alpha: a faint haze must not draw the keypoints to the middle of the field's box.
    presence = surface.keypoints * surface.alpha[..., None]
    visible = presence.sum(1)
    share = presence / visible.clamp(min=1e-6)[:, None]
    solid = surface.alpha.clamp(min=0.05)[..., None]
    after = _project(((surface.points + surface.movement) / solid)[:-1], cameras)
    return Shown(
        alpha=surface.alpha,
        keypoints_px=torch.einsum("mpk,mpa->mka", share, pixels),
        visible=visible,
        flow_px=torch.einsum("mpk,mpa->mka", share[:-1], after - pixels[:-1]),
    )


def _project(points: Float[Tensor, "pair pixel 3"], cameras: Cameras) -> Float[Tensor, "pair pixel 2"]:
    """World points in the pictures of the moments after the first."""
    R, K = cameras.R_world_camera[1:], cameras.K[1:]
    p = (points - cameras.position[1:, None]) @ R
    near = 0.05 * (cameras.position[1:, None] - points).norm(dim=2).detach()
    focal = torch.diagonal(K[:, :2, :2], dim1=1, dim2=2)[:, None]
    return p[..., :2] / torch.maximum(p[..., 2], near)[..., None] * focal + K[:, None, :2, 2]


def instance_loss(body: Shown, actor: Shown) -> Float[Tensor, ""]:
    """How far the masks are from overlapping: 1 less their intersection over union, mean over the moments.

    For soft masks in Tanimoto's form, which is 0 for equal ones and hardly minds a faint haze around the body.
    """
    both = (body.alpha * actor.alpha).sum(1)
    either = (body.alpha**2 + actor.alpha**2 - body.alpha * actor.alpha).sum(1)
    return (1 - both / either.clamp(min=1e-6)).mean()


def semantic_loss(
    body: Shown, actor: Shown, height_px: Float[Tensor, " moment"], tolerance: float
) -> Float[Tensor, ""]:
    """How far the keypoints are from the actor's, as shares of the actor's height, in tolerances."""
    error = (body.keypoints_px - actor.keypoints_px) / height_px[:, None, None]
    return _weighted(error, _seen_by_both(body, actor), tolerance)


def motion_loss(body: Shown, actor: Shown, height_px: Float[Tensor, " moment"], tolerance: float) -> Float[Tensor, ""]:
    """How far the flow around each keypoint is from the actor's, as shares of the actor's height, in tolerances."""
    if len(body.flow_px) == 0:
        return body.flow_px.sum()
    error = (body.flow_px - actor.flow_px) / height_px[:-1, None, None]
    return _weighted(error, _seen_by_both(body, actor)[:-1], tolerance)


def smoothness_loss(
    offsets: Float[Tensor, "moment 6"], gap_s: float, tolerance: Float[Tensor, "6"]
) -> Float[Tensor, ""]:
    """How fast the camera's offsets change their speed, in tolerances per second squared."""
    if len(offsets) < 3:
        return 0.0 * offsets.sum()
    acceleration = (offsets[2:] - 2 * offsets[1:-1] + offsets[:-2]) / gap_s**2
    return ((acceleration / tolerance) ** 2).sum(1).mean()


def _seen_by_both(body: Shown, actor: Shown) -> Float[Tensor, "moment keypoint"]:
    """Weights of the keypoints: what is hidden in either picture says little."""
    least = torch.minimum(body.visible, actor.visible).detach()
    return least / (least + 0.5 * actor.visible.mean() + 1e-6)


def _weighted(
    error: Float[Tensor, "moment keypoint 2"], weight: Float[Tensor, "moment keypoint"], tolerance: float
) -> Float[Tensor, ""]:
    """The pseudo-Huber loss of errors in tolerances, weighted mean."""
    square = (error**2).sum(2) / tolerance**2
    cost = 2 * _KNEE**2 * (torch.sqrt(1 + square / _KNEE**2) - 1)
    return (weight * cost).sum() / weight.sum().clamp(min=1e-6)
