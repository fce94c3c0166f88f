"""A character filmed by itself: on grey ground, in neutral light, by a camera that frames it."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.camera import CameraPath
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at
from understudy.geometry.vectors import unit
from understudy.imaging.colour import srgb_bytes_from_linear
from understudy.refine.compose import Look, compose
from understudy.render.renderers import RendererConfig

__all__ = ["FRAME_RATE", "NEUTRAL_LIGHT", "View", "film", "framing_camera"]

FRAME_RATE = Fraction(24)
FOCAL = 2.4
"""Focal length in heights of the picture: a short telephoto lens (58 mm on full frame), under which nothing bulges."""
MARGIN = 0.9
"""The share of the picture that the figure fills at most."""
NEUTRAL_LIGHT = Light(unit(np.array([0.4, 0.6, 0.7])), np.full(3, 0.7), np.full(3, 0.6), np.full(3, 0.35))
"""A surface that faces the camera of azimuth 0 gets 0.97: colours are shown as the textures have them."""
GROUND, BACKDROP, LINE = 0.21, 0.27, 0.15
"""Linear greys of the ground, of what lies behind it, and of the lines on the ground."""
CELL_M, LINE_M = 0.5, 0.008
"""Between the lines on the ground, and half their width: they show whether feet slide."""
FADE_RAD = np.radians(6.0)
"""So far below the horizon the ground begins to fade into the backdrop."""


@dataclass(frozen=True)
class View:
    """From where a camera looks, and the size of its picture."""

    azimuth_rad: float | Float[np.ndarray, " time"] = 0.0
    """0 is from +Z, the front; a quarter turn from +X, the figure's left."""
    elevation_rad: float = np.radians(8.0)
    width: int = 640
    height: int = 640


def framing_camera(
    points: Float[np.ndarray, "time n 3"],
    centre: Float[np.ndarray, "time 3"],
    view: View,
    frame_rate: Fraction = FRAME_RATE,
) -> CameraPath:
    """A camera that looks at `centre` from a constant distance, as near as all points of all frames are in its picture.

    Points and centre are in the world, in metres.
    """
    azimuth = np.broadcast_to(view.azimuth_rad, len(centre))
    flat = np.cos(view.elevation_rad)
    back = np.stack([flat * np.sin(azimuth), np.full(len(centre), np.sin(view.elevation_rad)), flat * np.cos(azimuth)])
    T = look_at(centre + back.T, centre)
    seen = np.einsum("tji,tnj->tni", T[:, :3, :3], points - centre[:, None])
    focal_px = FOCAL * view.height
    reach = np.maximum(np.abs(seen[..., 0]) / view.width, np.abs(seen[..., 1]) / view.height)
    distance = float((2 * focal_px / MARGIN * reach - seen[..., 2]).max())
    T[:, :3, 3] = centre + distance * back.T
    K = np.tile(intrinsics(focal_px, view.width, view.height), (len(centre), 1, 1))
    return CameraPath(T, K, view.width, view.height, frame_rate)


def film(
    performance: Performance, camera: CameraPath, renderer: RendererConfig, frames: list[int] | range | None = None
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Finished frames (sRGB) of a performance under a camera; all, or those with the indices given."""
    take = Take((performance,), camera, NEUTRAL_LIGHT)
    look = Look(_key_share(NEUTRAL_LIGHT), np.ones(3), np.zeros(3), 0.0, None, 0.0, 0.0)
    ground: tuple[Float[np.ndarray, "4 4"], UInt8[np.ndarray, "height width 3"]] | None = None
    with renderer.build() as render:
        for frame in range(len(camera)) if frames is None else frames:
            T = camera.T_world_camera[frame]
            if ground is None or not np.array_equal(ground[0], T):
                ground = T, _ground(camera, frame)
            yield compose(ground[1], render(take, frame), look, frame)


def _key_share(light: Light) -> Float[np.ndarray, "3"]:
    """How much of the ground's light comes from the key."""
    key = light.key_colour * max(float(light.key_direction[1]), 0.0)
    return key / (key + light.fill_sky)


def _ground(camera: CameraPath, frame: int) -> UInt8[np.ndarray, "height width 3"]:
    """The empty ground plane y = 0 with its lines, before a plain backdrop."""
    T, K = camera.T_world_camera[frame].astype(np.float32), camera.K[frame].astype(np.float32)
    across = (np.arange(camera.width, dtype=np.float32) + 0.5 - K[0, 2]) / K[0, 0]
    down = (np.arange(camera.height, dtype=np.float32)[:, None] + 0.5 - K[1, 2]) / K[1, 1]
    length = np.sqrt(1 + across**2 + down**2)
    x, sink, z = (T[axis, 0] * across + T[axis, 1] * down + T[axis, 2] for axis in range(3))
    sink = np.maximum(-sink / length, 1e-4)  # the sine of the angle below the horizon
    steps = T[1, 3] / sink
    footprint = steps / K[0, 0] / np.sqrt(sink)  # of a pixel, between its two sides on the ground
    covered = np.zeros_like(steps)
    for start, ray in ((T[0, 3], x), (T[2, 3], z)):
        off = np.abs((start + steps / length * ray + 0.5 * CELL_M) % CELL_M - 0.5 * CELL_M)
        np.maximum(covered, np.clip((LINE_M - off) / footprint + 0.5, 0, 1), out=covered)
    grey = GROUND + covered * np.minimum(1, np.sqrt(2 * LINE_M / footprint)) * (LINE - GROUND)
    fade = np.clip(1 - sink / np.sin(FADE_RAD), 0, 1)
    picture = srgb_bytes_from_linear((grey + fade * (BACKDROP - grey)).astype(np.float32))
    return np.repeat(picture[..., None], 3, 2)
