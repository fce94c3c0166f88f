"""Shots of synthetic people in synthetic sets, with the truth about them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.body.model import BodyModel
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion
from understudy.io.video.encoding import VideoKind, VideoWriter
from understudy.runtime.progress import Progress, silent
from understudy.synthetic.films.camera_moves import CameraMove, camera_path
from understudy.synthetic.films.lens import camera_at, developed, exposure_instants, motion_at
from understudy.synthetic.films.sets import SETS, SetKind
from understudy.synthetic.films.stage import PERSON, SHADOW_MAP_PX, FilmStage, LensPicture
from understudy.synthetic.people.actors import ACTORS, ActorName, actor_outfit, shape_for_build
from understudy.synthetic.people.motions import Action, act, ground_contact
from understudy.synthetic.people.people import Outfit, dressed, random_outfit
from understudy.synthetic.textures import Texture

__all__ = [
    "PERSON", "SHADOW_MAP_PX", "ShotFrame", "SyntheticScene", "SyntheticShot", "SyntheticShotConfig", "expose",
    "film_synthetic_shot", "set_up",
]  # fmt: skip


@dataclass(frozen=True)
class SyntheticShotConfig:
    """What to film."""

    width: int = 640
    height: int = 360
    frames: int = 48
    frame_rate: Fraction = Fraction(24)
    scenery: SetKind = "courtyard"
    action: Action = field(default_factory=Action)
    motion: Motion | None = None
    """Done instead of the action: of these frames and this rate, on the skeleton of the body that the shot has."""
    camera: CameraMove = field(default_factory=CameraMove)
    actor: ActorName | None = None
    """Who: gives shape and, at random, outfit."""
    height_m: float | None = None
    """How tall the person is; None: at random, 1.60 … 1.85 m."""
    shape: tuple[float, ...] | None = None
    """The person's components in `BodyModel`; None: at random, for `height_m`."""
    outfit: Outfit | None = None
    """None: at random."""
    grain: float = 0.006
    """Standard deviation of the camera's noise in sRGB shares; different in every frame."""
    seed: int = 0
    """The same seed films the same shot."""
    shutter: float = 0.0
    """How long the shutter is open, as a share of the time from frame to frame: 0.5 is film's usual half turn."""
    aperture_m: float = 0.0
    """Diameter of the lens's opening, which is focused on the person's hips; 0: everything is sharp."""
    crf: int | None = None
    """H.264's quality of shot.mp4, 0 … 51: 28 is what the web looks like; None: good."""
    shadow_map_px: int = SHADOW_MAP_PX
    """Side of the picture from which shadows are cast; half is enough, and quicker, for pictures 256 px wide."""

    def __post_init__(self) -> None:
        if not 0 <= self.shutter <= 1 or self.aperture_m < 0:
            raise ValueError(f"shutter is a share 0 … 1, aperture_m ≥ 0; got {self.shutter} and {self.aperture_m}")
        if self.actor is not None and (self.shape is not None or self.height_m is not None):
            raise ValueError(f"the actor {self.actor!r} has a shape and a height: give no others")


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
    """Build set, person, motion and camera; films nothing.

    Raises:
        ValueError: the given motion is of another body, another rate or other frames than the shot.
    """
    rng = np.random.default_rng([config.seed, 7])
    model = BodyModel.load()
    shape, outfit = _person(model, config, rng)
    height_m = model.shaped(shape).height_m
    body = model.character(shape, "body")
    character = dressed(model, shape, outfit, config.seed)
    if config.motion is None:
        motion, contact = act(body.skeleton, config.action, config.frames, config.frame_rate)
    else:
        motion, contact = _given(config.motion, body, config), ground_contact(config.motion)
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


def _given(motion: Motion, body: Character, config: SyntheticShotConfig) -> Motion:
    """The motion, if it fits."""
    if len(motion) != config.frames or motion.frame_rate != config.frame_rate:
        raise ValueError(
            f"the motion has {len(motion)} frames at {motion.frame_rate} a second, the shot {config.frames} "
            f"at {config.frame_rate}: resample it, or set the shot's frames and frame_rate"
        )
    own, given = body.skeleton, motion.skeleton
    if own.names != given.names or not np.allclose(own.T_parent_joint, given.T_parent_joint, atol=1e-3):
        raise ValueError("the motion is on another skeleton than the shot's person: retarget it to `scene.body` first")
    return motion


def _person(
    model: BodyModel, config: SyntheticShotConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " component"], Outfit]:
    """Shape and clothes, as told or at random."""
    if config.actor is not None:
        return shape_for_build(model, ACTORS[config.actor]), config.outfit or actor_outfit(config.actor, rng)
    shape = _shape(model, config.height_m, rng) if config.shape is None else np.array(config.shape)
    return shape, config.outfit or random_outfit(rng)


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
        size = config.width, config.height, config.frame_rate
        film, plate, masks, depth = (
            stack.enter_context(VideoWriter(path, *size, kind, config.crf if kind == "film" else None))
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
class ShotFrame:
    """One frame of a synthetic shot."""

    picture: UInt8[np.ndarray, "height width 3"]
    clean_plate: UInt8[np.ndarray, "height width 3"]
    mask: UInt8[np.ndarray, "height width"]
    depth_m: Float[np.ndarray, "height width"]


def expose(scene: SyntheticScene, config: SyntheticShotConfig) -> Iterator[ShotFrame]:
    """Every frame of a scene, in order.

    With an open shutter, picture, clean plate and mask are means over it; depth is that of the frame's own instant.
    """
    whole = Take((scene.scenery, scene.person), scene.camera, scene.light)
    with FilmStage(scene.sky, config.aperture_m, config.shadow_map_px) as stage:
        for frame in range(len(whole)):
            seen = _exposed(stage, whole, frame, config.shutter)
            grain = np.random.default_rng([config.seed, 11, frame]).normal(
                0, config.grain, (config.height, config.width, 1)
            )
            yield ShotFrame(
                developed(seen.picture, grain),
                developed(seen.background, grain),
                (seen.share * 255 + 0.5).astype(np.uint8),
                seen.depth_m,
            )


def _exposed(stage: FilmStage, whole: Take, frame: int, shutter: float) -> LensPicture:
    """What falls on the film while the shutter is open."""
    instants = exposure_instants(whole.performances[1].motion, whole.camera, frame, shutter)
    if len(instants) == 1:
        return stage.see(whole, frame)
    performances = tuple(Performance(one.character, motion_at(one.motion, instants)) for one in whole.performances)
    take = Take(performances, camera_at(whole.camera, instants), whole.light)
    seen = [stage.see(take, number) for number in range(len(instants))]
    return LensPicture(
        np.mean([one.picture for one in seen], 0),
        np.mean([one.background for one in seen], 0),
        np.mean([one.share for one in seen], 0),
        seen[len(seen) // 2].depth_m,
    )
