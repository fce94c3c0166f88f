"""What a camera does to a picture: its shutter, its lens and its film."""

from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import distance_transform_edt

from understudy.core.camera import CameraPath
from understudy.core.motion import Motion
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.projection import project, unproject
from understudy.geometry.rigid import transform
from understudy.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix, slerp
from understudy.imaging.colour import srgb_from_linear

__all__ = [
    "camera_at", "circle_of_confusion", "defocused", "developed", "exposure_instants", "motion_at", "out_of_focus",
]  # fmt: skip

MAX_INSTANTS = 17
INSTANT_PX = 1.5
"""How far anything may move in the picture from one instant of an exposure to the next."""
NEAR_M = 0.3
SET_FROM_TO_M = (2.0, 100.0)
"""How near and how far a set is."""
_RADII_PX = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""Of the discs between which blur is interpolated; the first, a pixel wide, is no blur."""


def exposure_instants(person: Motion, camera: CameraPath, frame: int, shutter: float) -> Float[np.ndarray, " instant"]:
    """The instants, in frames, whose mean is the picture of `frame`: centred on it, spread over the open shutter.

    As many as the fastest joint, or the fastest part of a set in view, needs to smear without gaps; one where nothing
    moves.
    """
    if shutter == 0:
        return np.array([float(frame)])
    ends = frame + 0.5 * shutter * np.array([-1.0, 1.0])
    motion, seen_by = motion_at(person, ends), camera_at(camera, ends)
    offsets = motion.skeleton.T_parent_joint[:, :3, 3]
    joints = forward_kinematics(motion.skeleton.parents, offsets, motion.q_parent_joint, motion.root_position_m)
    columns, rows, depths = np.meshgrid([0, 0.5, 1], [0, 0.5, 1], SET_FROM_TO_M)
    pixels = np.stack([columns * camera.width, rows * camera.height], -1).reshape(-1, 2)
    in_view = transform(camera.T_world_camera[frame], unproject(camera.K[frame], pixels, depths.ravel()))
    points = np.concatenate([joints[..., :3, 3], np.stack([in_view, in_view])], 1)
    local = transform(seen_by.T_camera_world, points)
    moved = np.diff(project(seen_by.K, local), axis=0)[0]
    fastest_px = float(np.linalg.norm(moved, axis=1)[(local[..., 2] > NEAR_M).all(0)].max(initial=0.0))
    # An odd number, so that one of them is the frame's own.
    count = 2 * int(np.ceil(fastest_px / INSTANT_PX / 2)) + 1 if fastest_px > 1e-6 else 1
    count = min(count, MAX_INSTANTS)
    return frame + shutter * ((np.arange(count) + 0.5) / count - 0.5)


def motion_at(motion: Motion, instants: Float[np.ndarray, " instant"]) -> Motion:
    """A motion at instants given in frames: rotations by slerp, positions straight; beyond the ends both go on."""
    before, share = _neighbours(len(motion), instants)
    after = np.minimum(before + 1, len(motion) - 1)
    q, root = motion.q_parent_joint, motion.root_position_m
    joints = np.repeat(share[:, None], len(motion.skeleton), 1)
    return Motion(
        motion.skeleton,
        slerp(q[before], q[after], joints),
        root[before] + share[:, None] * (root[after] - root[before]),
        motion.frame_rate,
    )


def camera_at(camera: CameraPath, instants: Float[np.ndarray, " instant"]) -> CameraPath:
    """A camera at instants given in frames, as `motion_at` has them."""
    before, share = _neighbours(len(camera), instants)
    after = np.minimum(before + 1, len(camera) - 1)
    T, K = camera.T_world_camera, camera.K
    T_world_camera = T[before] + share[:, None, None] * (T[after] - T[before])
    q = quaternion_from_matrix(T[:, :3, :3])
    T_world_camera[:, :3, :3] = matrix_from_quaternion(slerp(q[before], q[after], share))
    return CameraPath(
        T_world_camera, K[before] + share[:, None, None] * (K[after] - K[before]), camera.width, camera.height,
        camera.frame_rate,
    )  # fmt: skip


def _neighbours(
    frames: int, instants: Float[np.ndarray, " instant"]
) -> tuple[np.ndarray, Float[np.ndarray, " instant"]]:
    """The frame before each instant, and how far on the way to the next it is."""
    before = np.clip(np.floor(instants).astype(np.int64), 0, max(frames - 2, 0))
    return before, instants - before


def circle_of_confusion(
    depth_m: Float[np.ndarray, "height width"], focus_m: float, aperture_m: float, focal_px: float
) -> Float[np.ndarray, "height width"]:
    """The diameter in pixels of what a thin lens of this opening, focused at `focus_m`, makes of a point."""
    # Written with 1/z, so that the sky has a finite circle too.
    return np.abs(aperture_m * focal_px * (1 / focus_m - 1 / depth_m))


def defocused(
    light: Float[np.ndarray, "height width channel"], circle_px: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width channel"]:
    """A picture where every point is spread over its circle of confusion; circles within a pixel leave it as it is.

    Every point goes to the two discs of a ladder of sizes between which its own lies (so blur changes without steps),
    and what falls on a pixel is averaged: nearer and farther points are not told apart, which is why people are
    defocused on a layer of their own.
    """
    radius = np.clip(0.5 * circle_px, _RADII_PX[0], _RADII_PX[-1])
    if radius.max() <= _RADII_PX[0]:
        return light
    total, weight = np.zeros_like(light), np.zeros(light.shape[:2], np.float32)
    level = np.interp(radius, _RADII_PX, np.arange(len(_RADII_PX)))
    for number in range(len(_RADII_PX)):
        member = np.maximum(1 - np.abs(level - number), 0).astype(np.float32)
        if not member.any():
            continue
        total += _spread(light * member[..., None], number)
        weight += _spread(member, number)
    return (total / np.maximum(weight, 1e-6)[..., None]).astype(np.float32)


def out_of_focus(
    whole: Float[np.ndarray, "height width 3"],
    behind: Float[np.ndarray, "height width 3"],
    share: Float[np.ndarray, "height width"],
    person_circle_px: Float[np.ndarray, "height width"],
    set_circle_px: Float[np.ndarray, "height width"],
) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
    """The picture and the person's coverage through an open lens, in two layers: a sharp person hides a soft set.

    Args:
        whole: linear light of set and person.
        behind: linear light of the set alone, for where the person hides it.
        share: coverage of the person.
        person_circle_px: circles of confusion where the person is; of any value elsewhere.
        set_circle_px: of the set alone.
    """
    hidden = share[..., None]
    scenery = np.where(hidden > 0, behind, whole)
    layer = np.concatenate([whole - (1 - hidden) * scenery, hidden], 2).astype(np.float32)
    if share.any():
        nearest = distance_transform_edt(share == 0, return_distances=False, return_indices=True)
        person_circle_px = person_circle_px[tuple(nearest)]
        layer = defocused(layer, person_circle_px)
    picture = layer[..., :3] + (1 - layer[..., 3:]) * defocused(scenery, set_circle_px)
    return np.maximum(picture, 0.0), np.clip(layer[..., 3], 0.0, 1.0)


def _spread(image: np.ndarray, level: int) -> np.ndarray:
    """Convolved with a disc of the ladder."""
    if level == 0:
        return image
    return cv2.filter2D(image, -1, _disc(_RADII_PX[level]), borderType=cv2.BORDER_REFLECT)


@cache
def _disc(radius_px: float) -> Float[np.ndarray, "side side"]:
    """A disc that sums to one, its edge pixels by how much of them it covers."""
    reach, fine = int(np.ceil(radius_px)), 8
    along = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = (np.hypot(*np.meshgrid(along, along)) <= radius_px).astype(np.float32)
    disc = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean((1, 3))
    return disc / disc.sum()


def developed(
    light: Float[np.ndarray, "height width 3"], grain: Float[np.ndarray, "height width 1"]
) -> UInt8[np.ndarray, "height width 3"]:
    """sRGB bytes of linear light, highlights rolled off, with grain."""
    coded = _film_curve()[np.clip(light * 1024 + 0.5, 0, 4095).astype(np.uint16)]
    return np.clip(coded + (grain * 255 + 0.5).astype(np.float32), 0, 255).astype(np.uint8)


@cache
def _film_curve() -> Float[np.ndarray, " code"]:
    """sRGB (0 … 255) of linear light in steps of 1/1024: IEC 61966-2-1 up to 0.7, then rolling off towards white."""
    light = np.arange(4096) / 1024
    over = np.maximum(light - 0.7, 0)
    light = np.minimum(light, 0.7) + 0.3 * over / (over + 0.3)
    return (255 * srgb_from_linear(light)).astype(np.float32)
