"""Shots of synthetic people in synthetic sets, with the truth about them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.body.model import BodyModel
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion
from understudy.core.progress import Progress, silent
from understudy.io.encoding import VideoKind, VideoWriter
from understudy.render.backends.opengl import OpenGL
from understudy.synthetic.camera_moves import CameraMove, camera_path
from understudy.synthetic.motions import Action, act
from understudy.synthetic.people import Outfit, dressed, random_outfit
from understudy.synthetic.sets import SETS, SetKind
from understudy.synthetic.textures import Texture

__all__ = ["SyntheticScene", "SyntheticShot", "SyntheticShotConfig", "film_synthetic_shot", "set_up"]

SHADOW_MAP_PX = 2048
SET, PERSON = 1, 2
"""Ids of the performances."""


@dataclass(frozen=True)
class SyntheticShotConfig:
    """What to film."""

    width: int = 640
    height: int = 360
    frames: int = 48
    frame_rate: Fraction = Fraction(24)
    scenery: SetKind = "courtyard"
    action: Action = field(default_factory=Action)
    camera: CameraMove = field(default_factory=CameraMove)
    height_m: float | None = None
    """How tall the person is; None: by dice, 1.60 … 1.85 m."""
    shape: tuple[float, ...] | None = None
    """The person's components in `BodyModel`; None: by dice, for `height_m`."""
    outfit: Outfit | None = None
    """None: by dice."""
    grain: float = 0.006
    """Standard deviation of the camera's noise in sRGB shares; different in every frame."""
    seed: int = 0
    """The same seed films the same shot."""


@dataclass(frozen=True)
class SyntheticScene:
    """Everything in front of the camera, and the camera."""

    scenery: Performance
    person: Performance
    """As filmed, dressed."""
    body: Character
    """The bare body of the same shape."""
    shape: Float[np.ndarray, " component"]
    ground_contact: Bool[np.ndarray, "time 2"]
    """Whether the left and the right foot stands."""
    camera: CameraPath
    light: Light
    sky: Texture
    """All around, from the horizon (bottom row) to overhead (top row)."""


@dataclass(frozen=True)
class SyntheticShot:
    """A shot on disk and the truth about it: one frame each per frame of the shot."""

    path: Path
    """H.264 film with grain."""
    clean_plate: Path
    """The set alone, lossless, with the same grain."""
    masks: Path
    """Coverage of the person, lossless grey."""
    depth: Path
    """Of set and person in metres along the camera's +Z."""
    scene: SyntheticScene


def set_up(config: SyntheticShotConfig) -> SyntheticScene:
    """Build set, person, motion and camera; films nothing."""
    rng = np.random.default_rng([config.seed, 7])
    model = BodyModel.load()
    shape = _shape(model, config.height_m, rng) if config.shape is None else np.array(config.shape)
    height_m = model.shaped(shape).height_m
    body = model.character(shape, "body")
    character = dressed(model, shape, config.outfit or random_outfit(rng), config.seed)
    motion, contact = act(body.skeleton, config.action, config.frames, config.frame_rate)
    film_set = SETS[config.scenery](config.seed)
    target = motion.root_position_m * [1, 0, 1] + [0, 0.52 * height_m, 0]
    camera = camera_path(config.camera, target, config.width, config.height, config.frame_rate, config.seed)
    standing = Motion(
        film_set.scenery.skeleton,
        np.tile([1.0, 0.0, 0.0, 0.0], (config.frames, 1, 1)),
        np.zeros((config.frames, 3)),
        config.frame_rate,
    )
    return SyntheticScene(
        Performance(film_set.scenery, standing), Performance(character, motion), body, shape, contact, camera,
        film_set.light, film_set.sky,
    )  # fmt: skip


def _shape(model: BodyModel, height_m: float | None, rng: np.random.Generator) -> Float[np.ndarray, " component"]:
    """The likeliest body of a height, made a little more personal."""
    height_m = height_m or float(rng.uniform(1.60, 1.85))
    likely = model.shape_for_height(height_m)
    own = likely + rng.normal(0, 0.5, model.components) * np.linspace(1, 0.3, model.components)
    # What the personal touch added in height is taken off again.
    return own + model.shape_for_height(2 * height_m - model.shaped(own).height_m) - likely


def film_synthetic_shot(config: SyntheticShotConfig, out: Path, progress: Progress = silent) -> SyntheticShot:
    """Film a shot into the folder `out` (made if needed): shot.mp4, clean_plate.mkv, masks.mkv, depth.mkv.

    Raises:
        BackendUnavailable: this machine has no OpenGL, not even in software.
    """
    scene = set_up(config)
    out.mkdir(parents=True, exist_ok=True)
    shot = SyntheticShot(out / "shot.mp4", out / "clean_plate.mkv", out / "masks.mkv", out / "depth.mkv", scene)
    kinds: tuple[tuple[Path, VideoKind], ...] = (
        (shot.path, "film"), (shot.clean_plate, "lossless"), (shot.masks, "mask"), (shot.depth, "depth"),
    )  # fmt: skip
    with ExitStack() as stack:
        film, plate, masks, depth = (
            stack.enter_context(VideoWriter(path, config.width, config.height, config.frame_rate, kind))
            for path, kind in kinds
        )
        for frame, exposed in enumerate(expose(scene, config)):
            film.write(exposed.picture)
            plate.write(exposed.clean_plate)
            masks.write(exposed.mask)
            depth.write(exposed.depth_m)
            progress(frame + 1, config.frames)
    return shot


@dataclass(frozen=True)
class Exposure:
    """One frame of a synthetic shot."""

    picture: UInt8[np.ndarray, "height width 3"]
    clean_plate: UInt8[np.ndarray, "height width 3"]
    mask: UInt8[np.ndarray, "height width"]
    depth_m: Float[np.ndarray, "height width"]


def expose(scene: SyntheticScene, config: SyntheticShotConfig) -> Iterator[Exposure]:
    """Every frame of a scene, in order."""
    whole = Take((scene.scenery, scene.person), scene.camera, scene.light)
    empty = replace(whole, performances=(scene.scenery,))
    alone = replace(whole, performances=(scene.person,))
    with ExitStack() as stack:
        # One renderer each, so that what stands still stays on the device; the cut-out's colours are not used.
        with_person, without, cut_out = (
            stack.enter_context(OpenGL(shadow_map_px=side, ground_shadow=False).build())
            for side in (SHADOW_MAP_PX, SHADOW_MAP_PX, 16)
        )
        still = _is_still(scene.camera)
        background: np.ndarray | None = None
        for frame in range(len(scene.camera)):
            if background is None or not still:
                plate, sky = without(empty, frame), _sky(scene, frame)
                background = plate.colour + (1 - plate.alpha)[..., None] * sky
            grain = np.random.default_rng([config.seed, 11, frame]).normal(
                0, config.grain, (config.height, config.width, 1)
            )
            passes, person = with_person(whole, frame), cut_out(alone, frame)
            # The person's own coverage, where nothing of the set stands in front.
            visible = person.depth_m <= passes.depth_m * 1.01
            share = np.where((passes.ids == PERSON) | visible, person.alpha, 0.0)
            outside = (1 - passes.alpha)[..., None] * sky
            yield Exposure(
                _developed(passes.colour + outside, grain),
                _developed(background, grain),
                (share * 255 + 0.5).astype(np.uint8),
                passes.depth_m,
            )


def _is_still(camera: CameraPath) -> bool:
    return bool((camera.T_world_camera == camera.T_world_camera[0]).all() and (camera.K[0] == camera.K).all())


def _sky(scene: SyntheticScene, frame: int) -> Float[np.ndarray, "height width 3"]:
    """Linear light from behind everything, in the direction of each pixel."""
    camera = scene.camera
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
    rays = pixels @ np.linalg.inv(camera.K[frame]).T @ camera.T_world_camera[frame, :3, :3].T
    rows, columns = scene.sky.shape[:2]
    around = (np.arctan2(rays[..., 0], -rays[..., 2]) / (2 * np.pi)) % 1.0 * columns
    up = np.clip(np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2])) / (np.pi / 2), 0, 1)
    seen = cv2.remap(
        scene.sky[..., :3], around.astype(np.float32), ((1 - up) * (rows - 1)).astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    return (seen / np.float32(255)) ** np.float32(2.2)


def _developed(
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
    return (255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(np.float32)
