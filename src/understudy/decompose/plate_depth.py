"""How far the set is behind the actor: a plane sweep through frames that see it.

Inverse depth (1 / metre in the solution's unit) is used throughout: it is what parallax measures, and 0 is infinity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from understudy.core.camera import CameraPath
from understudy.core.footage import CameraSolution
from understudy.decompose.plate_blend import Box, spread_inwards

__all__ = ["Source", "SweepConfig", "background_inverse_depth", "carry_inverse_depth", "look_into", "small_box"]


@dataclass(frozen=True)
class SweepConfig:
    """How the depth behind the actor is found."""

    planes: int = 28
    """Inverse depths that are tried."""
    sources: int = 7
    """Frames that vote."""
    truncation: float = 24.0
    """Differences of colour beyond this many 8-bit levels count as this much: occlusion, not error."""
    smooth_step: float = 1.5
    """What a step of one plane between neighbours costs, in levels."""
    smooth_jump: float = 9.0
    """What a larger step costs."""
    prior: float = 5.0
    """What it costs to lie far from the depth that the solution's sparse points suggest."""
    unseen: float = 6.0
    """What a depth costs at which fewer than two frames see the place: it is neither confirmed nor refuted."""
    inherit: float = 4.0
    """What it costs to leave the depth that was found for the anchor before."""
    beyond_ring: float = 9.0
    """What it costs, behind the actor, to be nearer or farther than all that is left and right of them."""


@dataclass(frozen=True)
class Source:
    """A frame that may show what the actor hides in another."""

    time: int
    picture: UInt8[np.ndarray, "height width 3"]
    hole: Bool[np.ndarray, "height width"]
    clearance: UInt8[np.ndarray, "height width"]
    """Distance of each pixel from the hole, at most 255: hair and motion blur reach beyond a rough mask."""
    others: Bool[np.ndarray, "height width"]
    small: Float[np.ndarray, "rows columns 3"]
    """The picture at 1/scale."""
    small_free: Float[np.ndarray, "rows columns"]
    """1 where nobody is in sight, at 1/scale."""


def small_box(box: Box, scale: int) -> tuple[int, int]:
    """Rows and columns of a box at 1/scale."""
    return -(-box.shape[0] // scale), -(-box.shape[1] // scale)


def _pixels_of(box: Box, scale: int) -> Float[np.ndarray, "3 3"]:
    """From an index in the small box to pixels of the full picture, homogeneous."""
    half = scale / 2
    return np.array([[scale, 0.0, box.left + half], [0.0, scale, box.top + half], [0.0, 0.0, 1.0]])


def _relative(camera: CameraPath, target: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """A and b with: source pixel ∝ A · target pixel + b · inverse depth in the target."""
    T = np.linalg.inv(camera.T_world_camera[source]) @ camera.T_world_camera[target]
    K_source = camera.K[source]
    return K_source @ T[:3, :3] @ np.linalg.inv(camera.K[target]), K_source @ T[:3, 3]


def look_into(
    camera: CameraPath,
    target: int,
    source: int,
    box: Box,
    scale: int,
    inverse_depth: Float[np.ndarray, "rows columns"],
) -> Float[np.ndarray, "rows columns 2"]:
    """Where each pixel of the target's small box lies in the source: full-size indices, −1e4 behind the camera."""
    A, b = _relative(camera, target, source)
    M = (A @ _pixels_of(box, scale)).astype(np.float32)
    x, y, z = (_plane(M[axis], inverse_depth, np.float32(b[axis])) for axis in range(3))
    front = z > 1e-6
    z = np.where(front, z, np.float32(1))
    at = np.dstack([x / z - np.float32(0.5), y / z - np.float32(0.5)])
    at[~front] = -1e4
    return at


def _plane(
    row: Float[np.ndarray, "3"], inverse_depth: Float[np.ndarray, "rows columns"], slope: np.float32
) -> Float[np.ndarray, "rows columns"]:
    """row · (x, y, 1) + slope · inverse depth, at each pixel."""
    rows, columns = inverse_depth.shape
    across = row[0] * np.arange(columns, dtype=np.float32) + row[2]
    down = row[1] * np.arange(rows, dtype=np.float32)
    return inverse_depth.astype(np.float32, copy=False) * slope + across + down[:, None]


def carry_inverse_depth(
    camera: CameraPath,
    anchor: int,
    anchor_box: Box,
    anchor_inverse_depth: Float[np.ndarray, "rows columns"],
    target: int,
    box: Box,
    scale: int,
) -> Float[np.ndarray, "small_rows small_columns"]:
    """An anchor's depth as another frame sees it, in that frame's small box; exact where the depth is smooth."""
    A, b = _relative(camera, anchor, target)
    depth = anchor_inverse_depth.astype(np.float32)
    result = np.full(small_box(box, scale), float(np.median(depth)), np.float32)
    to_index = np.array([anchor_box.left + scale / 2 - 0.5, anchor_box.top + scale / 2 - 0.5], np.float32)
    towards = A[2].astype(np.float32)
    for _ in range(3):
        at = look_into(camera, target, anchor, box, scale, result)
        place = (at - to_index) / np.float32(scale)
        there = cv2.remap(depth, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        z = (at[..., 0] + 0.5) * towards[0] + (at[..., 1] + 0.5) * towards[1] + towards[2] + there * np.float32(b[2])
        result = there / np.maximum(z, np.float32(1e-3))
    return result


def background_inverse_depth(
    target: Source,
    box: Box,
    scale: int,
    sources: Sequence[Source],
    solution: CameraSolution,
    config: SweepConfig,
    inherited: Float[np.ndarray, "rows columns"] | None = None,
) -> Float[np.ndarray, "rows columns"]:
    """Inverse depth of the set in the target's small box, behind people too.

    `inherited` is what the anchor before found, carried here.

    Source: Collins 1996, A space-sweep approach (the sweep); Hirschmüller 2008, Stereo processing by semi-global
    matching (the smoothing).
    """
    prior, low, high = _prior(solution, target.time, box, scale)
    planes = np.linspace(low, high, config.planes)
    cost = np.stack([_disagreement(w, target, box, scale, sources, solution.camera, config) for w in planes], -1)
    distance = np.abs(planes - prior[..., None]) / max(0.25 * (high - low), 1e-9)
    cost += config.prior * np.minimum(distance, 1.0).astype(np.float32)
    if inherited is not None:
        distance = np.abs(planes - inherited[..., None]) / (3 * (planes[1] - planes[0]))
        cost += config.inherit * np.minimum(distance, 1.0).astype(np.float32)
    total = _semi_global(cost, config)
    rows, columns = prior.shape
    top, left = box.top // scale, box.left // scale
    free = target.small_free[top : top + rows, left : left + columns] > 0
    if not free.all():
        near, far = _ring_limits(total.argmin(-1), free)
        index = np.arange(config.planes)
        outside = np.maximum(far[:, None] - 1 - index, index - near[:, None] - 1).clip(0)
        penalty = np.minimum(outside / 3.0, 1.0).astype(np.float32) * config.beyond_ring
        cost += np.where(free[..., None], np.float32(0), penalty[:, None])
        total = _semi_global(cost, config)
    return _finest(total, low, high)


def _finest(
    total: Float[np.ndarray, "rows columns plane"], low: float, high: float
) -> Float[np.ndarray, "rows columns"]:
    """The cheapest inverse depth, between planes too."""
    count = total.shape[-1]
    best = total.argmin(-1)
    inner = np.clip(best, 1, count - 2)[..., None]
    left, middle, right = (np.take_along_axis(total, inner + k, -1)[..., 0] for k in (-1, 0, 1))
    bend = np.maximum(left - 2 * middle + right, 1e-3)
    fraction = np.where(best == inner[..., 0], np.clip(0.5 * (left - right) / bend, -0.5, 0.5), 0.0)
    depth = (low + (best + fraction) * (high - low) / (count - 1)).astype(np.float32)
    return cv2.medianBlur(depth, 5) if min(depth.shape) >= 5 else depth


def _ring_limits(
    plane: Int[np.ndarray, "rows columns"], free: Bool[np.ndarray, "rows columns"]
) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    """Nearest and farthest plane just left and right of the hole, row by row (with the rows around)."""
    near, far = np.zeros(len(plane), int), np.full(len(plane), plane.max())
    for row in np.flatnonzero(~free.all(1)):
        hole = np.flatnonzero(~free[row])
        before, after = plane[row, max(hole[0] - 10, 0) : hole[0]], plane[row, hole[-1] + 1 : hole[-1] + 11]
        sides = [np.median(side) for side in (before, after) if len(side) > 2]
        if sides:
            near[row], far[row] = round(max(sides)), round(min(sides))
        else:
            near[row], far[row] = plane.max(), 0
    return maximum_filter1d(near, 7), minimum_filter1d(far, 7)


def _prior(
    solution: CameraSolution, time: int, box: Box, scale: int
) -> tuple[Float[np.ndarray, "rows columns"], float, float]:
    """Inverse depth from the sparse points in and around the box, and the range to search."""
    T = np.linalg.inv(solution.camera.T_world_camera[time])
    points = solution.points @ T[:3, :3].T + T[:3, 3]
    points = points[points[:, 2] > 1e-6]
    image = points @ solution.camera.K[time].T
    at = image[:, :2] / image[:, 2:]
    margin = max(box.shape)
    near = (
        (at[:, 0] > box.left - margin)
        & (at[:, 0] < box.right + margin)
        & (at[:, 1] > box.top - margin)
        & (at[:, 1] < box.bottom + margin)
    )
    inverse, at = 1.0 / points[near, 2], at[near]
    rows, columns = small_box(box, scale)
    if len(inverse) < 8:
        everywhere = 1.0 / points[:, 2] if len(points) else np.ones(1)
        low, high = np.percentile(everywhere, [2, 98])
        return np.full((rows, columns), float(np.median(everywhere))), 0.5 * low, 1.5 * high
    low, high = np.percentile(inverse, [1, 99])
    pad = -(-margin // scale)
    cell = np.floor((at - (box.left, box.top)) / scale).astype(int) + pad
    size = (rows + 2 * pad, columns + 2 * pad)
    keep = (cell >= 0).all(1) & (cell[:, 0] < size[1]) & (cell[:, 1] < size[0])
    total, count = np.zeros(size, np.float32), np.zeros(size, np.float32)
    np.add.at(total, (cell[keep, 1], cell[keep, 0]), np.clip(inverse[keep], low, high))
    np.add.at(count, (cell[keep, 1], cell[keep, 0]), 1.0)
    smooth = spread_inwards(total / np.maximum(count, 1.0), count > 0)
    spread = max(high - low, 0.05 * high)
    return smooth[pad : pad + rows, pad : pad + columns], max(low - 0.3 * spread, 0.0), high + 0.25 * spread


def _disagreement(
    inverse_depth: float,
    target: Source,
    box: Box,
    scale: int,
    sources: Sequence[Source],
    camera: CameraPath,
    config: SweepConfig,
) -> Float[np.ndarray, "rows columns"]:
    """How much the frames disagree about the colours if all lay on one plane; neutral where fewer than two see."""
    rows, columns = small_box(box, scale)
    to_small = np.array([[1 / scale, 0, -0.5], [0, 1 / scale, -0.5], [0, 0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    value = np.empty((1 + len(sources), 3, rows, columns), np.float32)
    weight = np.empty((1 + len(sources), rows, columns), np.float32)
    for index, source in enumerate([target, *sources]):
        A, b = _relative(camera, target.time, source.time)
        H = to_small @ (A + inverse_depth * np.outer(b, [0.0, 0.0, 1.0])) @ _pixels_of(box, scale)
        value[index] = cv2.warpPerspective(source.small, H, (columns, rows), flags=flags).transpose(2, 0, 1)
        weight[index] = cv2.warpPerspective(source.small_free, H, (columns, rows), flags=flags) > 0.99
    seen = weight.sum(0) >= 2
    # The target itself counts more: the surroundings must fit this frame.
    weight[0] *= 2.0
    weights = weight
    for _ in range(2):
        mean = (value * weights[:, None]).sum(0) / np.maximum(weights.sum(0), 1e-6)
        difference = np.abs(value - mean)
        error = np.minimum((difference[:, 0] + difference[:, 1] + difference[:, 2]) / 3, config.truncation)
        # Once more without the worst: occluders in some frames must not pull the mean.
        weights = weight * np.exp(-((error / 12.0) ** 2))
    cost = (error * weight).sum(0) / np.maximum(weight.sum(0), 1e-6)
    share = cv2.blur(seen.astype(np.float32), (5, 5))
    smooth = cv2.blur(np.where(seen, cost, 0.0).astype(np.float32), (5, 5)) / np.maximum(share, 0.2)
    return np.where(share > 0.2, smooth, np.float32(config.unseen))


def _semi_global(cost: Float[np.ndarray, "rows columns plane"], config: SweepConfig) -> np.ndarray:
    """The costs of the cheapest smooth paths from four sides, summed."""
    total = np.zeros_like(cost)
    for axis, backwards in ((0, False), (0, True), (1, False), (1, True)):
        volume = np.moveaxis(cost, axis, 0)
        out = np.moveaxis(total, axis, 0)
        order = range(len(volume) - 1, -1, -1) if backwards else range(len(volume))
        last: np.ndarray | None = None
        for index in order:
            path = volume[index].copy()
            if last is not None:
                least = last.min(-1, keepdims=True)
                best = np.minimum(last, least + config.smooth_jump)
                best[:, 1:] = np.minimum(best[:, 1:], last[:, :-1] + config.smooth_step)
                best[:, :-1] = np.minimum(best[:, :-1], last[:, 1:] + config.smooth_step)
                path += best - least
            out[index] += path
            last = path
    return total
