"""Pictures of characters by the film's renderer, under a plain light."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from benchmarks.characters.measures import moved
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at, quaternion_from_matrix
from understudy.imaging.colour import LUMA, srgb_bytes_from_linear
from understudy.metrics.image import psnr_db
from understudy.render.backends.opengl import OpenGL

__all__ = ["PLAIN_LIGHT", "Lit", "at_rest", "cut_out_bytes", "matt_picture", "on_ground", "relit_figures"]

PLAIN_LIGHT = Light(
    np.array([-0.40, 0.65, 1.0]) / np.linalg.norm([-0.40, 0.65, 1.0]),
    np.full(3, 0.72), np.full(3, 0.50), np.full(3, 0.32), np.radians(8.0),
)  # fmt: skip
"""White light from the front, above the camera's left: a surface that faces the camera gets 0.98 of full light."""
_DISTANCE = 4.5
"""Of the sheets' camera from the figure, in heights of the figure: a portrait lens."""
_FAR = 40.0
"""The same where pictures are compared: so long a lens that perspective is not what is measured."""
_MODEL_M = 0.2
"""How tall figures are made for so long a lens: depth buffers are fine near the camera only."""
DARKEST_PERCENT = 2.0
MAX_BLACK = 0.02
"""Linear luminance up to which a picture's darkest places are called black: sRGB 39."""
_GROUND = 0.42
"""Linear light of the sheets' grey ground and wall."""


@dataclass(frozen=True)
class Lit:
    """A figure under a light."""

    colour: Float[np.ndarray, "height width 3"]
    """Linear, not premultiplied; zero outside."""
    alpha: Float[np.ndarray, "height width"]


def at_rest(character: Character) -> Motion:
    """One frame of the rest pose."""
    T = character.skeleton.T_parent_joint
    return Motion(character.skeleton, quaternion_from_matrix(T[:, :3, :3])[None], T[:1, :3, 3], Fraction(24))


def camera_for(
    height_m: float,
    size_px: tuple[int, int],
    azimuth_rad: float,
    wide_m: float = 0.0,
    distance: float = _DISTANCE,
    rise: float = 0.6,
) -> CameraPath:
    """A camera that sees a figure of some height, or width, from head to toe; it stands `distance` heights away and as
    high as `rise` of the figure's height."""
    away = distance * height_m
    at = np.array([np.sin(azimuth_rad) * away, rise * height_m, np.cos(azimuth_rad) * away])
    T = look_at(at, np.array([0.0, 0.5 * height_m, 0.0]))
    focal = 0.88 * away * min(size_px[1] / height_m, size_px[0] / max(wide_m, 1e-6))
    return CameraPath(T[None], intrinsics(focal, *size_px)[None], *size_px, Fraction(24))


def width_m(character: Character) -> float:
    """From fingertip to fingertip, about x = 0."""
    return 2 * float(np.abs(character.mesh.vertices[:, 0]).max())


def lit(
    character: Character, size_px: tuple[int, int], framed: Character | None = None, azimuth_rad: float = 0.0
) -> Lit:
    """The rest pose, straight from the front unless `azimuth_rad` says from where, under PLAIN_LIGHT, which stays with
    the camera; `framed`: whose camera is taken, None: its own."""
    framed = character if framed is None else framed
    scale = _MODEL_M / framed.height_m
    small = moved(character, scale, np.zeros(3))
    camera = camera_for(_MODEL_M, size_px, azimuth_rad, scale * width_m(framed), _FAR, 0.5)
    light = replace(PLAIN_LIGHT, key_direction=_turned(PLAIN_LIGHT.key_direction, azimuth_rad))
    with OpenGL(shadow_map_px=2048, ground_shadow=False, supersampling=3, self_occlusion=False).build() as renderer:
        passes = renderer(Take((Performance(small, at_rest(small)),), camera, light), 0)
    alpha = passes.alpha
    colour = np.where(alpha[..., None] > 0, passes.colour / np.maximum(alpha, 1e-6)[..., None], 0.0)
    return Lit(colour, alpha)


def matt_picture(character: Character, size_px: tuple[int, int], azimuth_rad: float = 0.0) -> Lit:
    """The rest pose, from the front unless `azimuth_rad` says from where, of purely matt surfaces.

    So pictures stay the same when the renderer's reflections change.
    """
    matt = tuple(replace(material, specular=0.0) for material in character.mesh.materials)
    return lit(replace(character, mesh=replace(character.mesh, materials=matt)), size_px, azimuth_rad=azimuth_rad)


def cut_out_bytes(picture: Lit) -> UInt8[np.ndarray, "height width 4"]:
    """sRGB and straight alpha."""
    return np.dstack([srgb_bytes_from_linear(picture.colour), (255 * picture.alpha + 0.5).astype(np.uint8)])


def on_ground(
    character: Character,
    motions: Sequence[tuple[Motion, int]],
    azimuths_rad: Sequence[float],
    size_px: tuple[int, int],
) -> list[UInt8[np.ndarray, "height width 3"]]:
    """Moments of motions on a grey ground, each from an azimuth; the light stays with the camera."""
    pictures = []
    with OpenGL(shadow_map_px=1024, supersampling=2).build() as renderer:
        for (motion, frame), azimuth in zip(motions, azimuths_rad, strict=True):
            root = motion.root_position_m[frame : frame + 1] * [0.0, 1.0, 0.0]
            still = Motion(motion.skeleton, motion.q_parent_joint[frame : frame + 1], root, motion.frame_rate)
            camera = camera_for(character.height_m, size_px, azimuth, 1.12 * width_m(character))
            light = replace(PLAIN_LIGHT, key_direction=_turned(PLAIN_LIGHT.key_direction, azimuth))
            passes = renderer(Take((Performance(character, still),), camera, light), 0)
            behind = _GROUND * (1 - 0.6 * cv2.GaussianBlur(passes.shadow, (0, 0), 1.0))[..., None]
            pictures.append(srgb_bytes_from_linear(passes.colour + (1 - passes.alpha[..., None]) * behind))
    return pictures


def _turned(direction: Float[np.ndarray, "3"], azimuth_rad: float) -> Float[np.ndarray, "3"]:
    c, s = np.cos(azimuth_rad), np.sin(azimuth_rad)
    return np.array([c * direction[0] + s * direction[2], direction[1], c * direction[2] - s * direction[0]])


def relit_figures(picture: Lit, character: Character, truth: Character) -> dict[str, float]:
    """The picture, and the character made of it under the same light from the same camera.

    PSNR of the sRGB pictures where both figures are; how much lighter (linear luminance) the picture's darkest 2 % of
    places have become, if they are black at all.
    """
    size = picture.alpha.shape[1], picture.alpha.shape[0]
    again = lit(character, size, truth)
    both = ndimage.binary_erosion((picture.alpha > 0.99) & (again.alpha > 0.99), iterations=2)
    theirs, ours = (srgb_bytes_from_linear(view.colour) for view in (picture, again))
    before, after = (view.colour @ LUMA for view in (picture, again))
    dark = both & (before <= np.percentile(before[both], DARKEST_PERCENT))
    figures = {"front_relit_db": round(psnr_db(ours, theirs, both), 2)}
    if before[dark].mean() > MAX_BLACK:
        return figures
    return figures | {
        "black_before": round(float(before[dark].mean()), 4),
        "black_lift": round(float((after[dark] - before[dark]).mean()), 4),
    }
