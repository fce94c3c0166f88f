"""DreamCinema's 3D tables, from pixels: the actor's own body, new bodies, ablation and perturbation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from understudy.cinematography.camera_fit import fit_camera
from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.core.camera_moves import CameraMoveName
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.decompose.body.fit import ActorFit, fit_actor
from understudy.evaluation.scoring import score_body, score_silhouettes
from understudy.evaluation.transfer_bodies import new_body, perturbed
from understudy.evaluation.truth import Truth, write_truth
from understudy.geometry.rigid import invert, transform
from understudy.io.gltf.write import write_character
from understudy.io.video.streams import open_shot
from understudy.metrics.motion import mpjpe_mm
from understudy.runtime.checks import check_option
from understudy.runtime.errors import InputError
from understudy.studio.mocap import captured_motion
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.pipeline.artifacts import ACTOR_BODY, ACTOR_MOTION, CAMERA, CHARACTER, PERFORMANCE
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.production import Production, read
from understudy.studio.pipeline.stages.decomposing import BODY
from understudy.studio.project import Project
from understudy.studio.recast import recast_with
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticShotConfig, film_synthetic_shot, set_up
from understudy.synthetic.people.actors import ActorName
from understudy.synthetic.people.motions import Action, ActionKind

__all__ = [
    "MOVES",
    "Ablation",
    "TransferConfig",
    "TransferRow",
    "evaluate_shot",
    "joint_errors",
    "shots_of",
    "transfer_shot",
]

MOVES: tuple[CameraMoveName, ...] = ("push_in", "pull_out", "pan", "truck", "follow", "arc")
"""The paper's; it calls truck "track"."""
Ablation = Literal["adapt", "camera"]
STATURES = (0.6, 0.8, 1.15, 1.3)
"""Of the new bodies, of the actor's."""
USUAL_HEIGHT_M = 1.7
FRAME_RATE = Fraction(24)
CAST: tuple[ActorName, ...] = (
    "woman", "man", "teenager", "heavy_man", "old_man", "athlete", "small_woman", "heavy_woman", "thin_tall_man",
    "girl", "child",
)  # fmt: skip
"""Who acts, in turn."""
WALKS = ("walk", "walk_and_wave")
ACTIONS: tuple[ActionKind, ...] = ("walk", "wave", "dance", "walk_and_wave", "turn", "stretch", "squat", "bow")


@dataclass(frozen=True)
class TransferConfig:
    """What is evaluated."""

    moves: tuple[CameraMoveName, ...] = MOVES
    """Camera moves, by name."""
    ablate: tuple[Ablation, ...] = get_args(Ablation)
    """What is switched off, one by one, for the new bodies: adapt (structure-guided animation), camera (its fit)."""
    perturb: tuple[float, ...] = (0.0, 20.0, 40.0, 80.0)
    """Millimetres of noise on the extracted motion."""
    motions: tuple[Path, ...] = ()
    """BVH files whose motions the actors do, in turn; none: our own."""
    shots: int = 2
    """Per move, with other actors, motions and sets."""
    frames: int = 100
    width: int = 960
    height: int = 540

    def __post_init__(self) -> None:
        if not self.moves:
            raise InputError(f"--moves names no camera move; choose from {', '.join(get_args(CameraMoveName))}")
        for noise_mm in self.perturb:
            check_option("perturb", noise_mm, 0, 10_000)
        check_option("shots", self.shots, 1, 1000)
        check_option("frames", self.frames, 8, 10_000)
        for name in ("width", "height"):
            check_option(name, getattr(self, name), 64, 8192)


@dataclass(frozen=True)
class TransferRow:
    """One body in one shot; figures as in BodyScore and Silhouettes, means over frames."""

    move: str
    shot: int
    stature: float | None
    """Of a new body, as a share of the actor's; None: the actor's own body."""
    noise_mm: float | None
    """On the extracted motion; None: the motion as it was extracted."""
    adapt: bool
    """Whether the motion was adapted to the body, or copied joint by joint."""
    camera_fit: bool
    """Whether the camera was fitted to the body."""
    figures: dict[str, float]


def shots_of(config: TransferConfig) -> list[tuple[CameraMoveName, int]]:
    """Every shot of the evaluation, by move and number."""
    return [(move, number) for move in config.moves for number in range(config.shots)]


def transfer_shot(config: TransferConfig, move: CameraMoveName, number: int) -> SyntheticShotConfig:
    """What is filmed: the same for a move and a number, whatever else is evaluated."""
    others = [name for name in get_args(CameraMoveName) if name not in MOVES]
    place = MOVES.index(move) if move in MOVES else len(MOVES) + others.index(move)
    seed, turn = 100 * place + number, 2 * place + number
    shot = SyntheticShotConfig(
        width=config.width, height=config.height, frames=config.frames, frame_rate=FRAME_RATE,
        scenery=("courtyard", "room")[(place + number) % 2], camera=CameraMove(move),
        action=_action(config, seed, ACTIONS[(place + 3 * number) % len(ACTIONS)]), actor=CAST[turn % len(CAST)],
        seed=seed,
    )  # fmt: skip
    if not config.motions:
        return shot
    path = config.motions[turn % len(config.motions)]
    motion = captured_motion(path, set_up(shot).body, FRAME_RATE, config.frames)
    return replace(shot, motion=motion, frames=len(motion))


def _action(config: TransferConfig, seed: int, kind: ActionKind) -> Action:
    """What is done, in a direction at random; who walks is over the origin, which cameras watch, half way."""
    action = Action(kind)
    heading_rad = float(np.random.default_rng([seed, 31]).uniform(-np.pi, np.pi))
    half_m = 0.5 * action.speed_m_s * config.frames / float(FRAME_RATE) if action.kind in WALKS else 0.0
    start_m = (-half_m * float(np.sin(heading_rad)), -half_m * float(np.cos(heading_rad)))
    return replace(action, heading_rad=heading_rad, start_m=start_m)


def evaluate_shot(
    move: CameraMoveName, number: int, config: TransferConfig, out: Path, narrator: Narrator
) -> list[TransferRow]:
    """Film one shot, recast it as users do, with every new body, and score everything."""
    folder = out / f"{move}_{number}"
    with narrator.stage(f"{move} {number}: film") as progress:
        filmed = film_synthetic_shot(transfer_shot(config, move, number), folder, progress)
        truth = write_truth(folder, filmed)
    with narrator.stage(f"{move} {number}: recast"):
        recasting = Recasting(folder, filmed.path)
        found = recasting.found(filmed.scene.body.height_m)
    with narrator.stage(f"{move} {number}: bodies"):
        return list(_Scorer(move, number, recasting, found, truth).rows(config))


@dataclass(frozen=True)
class Found:
    """What the pipeline found in a shot."""

    actor: Performance
    camera: CameraPath
    kind: CameraMoveKind
    height_m: float
    """Of the actor, as it was guessed."""
    height_given: ActorFit
    """With the actor's height given, without which no single camera knows the scale; all else is measured without."""


@dataclass(frozen=True)
class Recasting:
    """A shot that is recast again and again, in one film's folder: only what depends on the change is made anew."""

    folder: Path
    shot: Path

    def found(self, height_m: float) -> Found:
        """Take the shot apart; the height is the actor's true one."""
        with self._made("body", new_body(USUAL_HEIGHT_M), RecastConfig()) as film:
            scope = film.scopes("actor")[0]
            report = BODY.report_in(film.project.stages[BODY.key(scope, film)])
            reads = BODY.load(film, scope)
            height_given = fit_actor(reads.landmarks, reads.solution, height_m, reads.matte)
            body, motion = read(ACTOR_BODY, film, scope), read(ACTOR_MOTION, film, scope)
            camera = read(CAMERA, film, replace(scope, camera="source"))
            assert report is not None
            return Found(Performance(body, motion), camera, reads.solution.move, report.height_m, height_given)

    def with_body(self, character: Character, config: RecastConfig) -> tuple[Performance, CameraPath]:
        """A new body in the actor's place, and the camera that films it."""
        with self._made("camera fit", character, config) as film:
            scope = film.scopes("actor")[0]
            performance = Performance(read(CHARACTER, film, scope), read(PERFORMANCE, film, scope))
            return performance, read(CAMERA, film, replace(scope, camera="fitted"))

    @contextmanager
    def _made(self, until: str, character: Character, config: RecastConfig) -> Iterator[Production]:
        """The film's folder after the stages up to the one named."""
        path, out = self.folder / "body.glb", self.folder / "film"
        write_character(path, character)
        recast_with(self.shot, path, out, config, SilentNarrator(), until)
        project = Project(out)
        try:
            yield Production(project, open_shot(self.shot), (path,), config)
        finally:
            project.close()


@dataclass(frozen=True)
class _Scorer:
    """One shot that was taken apart, and its truth."""

    move: str
    number: int
    recasting: Recasting
    found: Found
    truth: Truth

    def rows(self, config: TransferConfig) -> Iterator[TransferRow]:
        """All rows of the shot."""
        yield self._row(self.found.actor, self.found.camera)
        for stature in STATURES:
            character = new_body(self.found.height_m * stature)
            for without in (None, *config.ablate):
                adapt, camera_fit = without != "adapt", without != "camera"
                recast = RecastConfig(adapt=adapt, camera_fit=camera_fit)
                yield self._row(
                    *self.recasting.with_body(character, recast), stature, adapt=adapt, camera_fit=camera_fit
                )
        for noise_mm in config.perturb:
            shaken = replace(self.found.actor, motion=perturbed(self.found.actor, noise_mm, self.number))
            fitted = fit_camera(self.found.actor, shaken, self.found.camera, self.found.kind).camera
            yield self._row(shaken, fitted, noise_mm=noise_mm, camera_fit=True)
            yield self._row(shaken, self.found.camera, noise_mm=noise_mm)

    def _row(
        self,
        performance: Performance,
        camera: CameraPath,
        stature: float | None = None,
        noise_mm: float | None = None,
        adapt: bool = True,
        camera_fit: bool = False,
    ) -> TransferRow:
        silhouettes = score_silhouettes(performance, camera, self.truth)
        figures = {name: float(np.mean(values)) for name, values in vars(silhouettes).items()}
        figures |= joint_errors(performance, camera, self.truth, stature or 1.0)
        if stature is None and noise_mm is None:
            figures |= asdict(score_body(performance, camera, self.truth))
            height_given = Performance(self.found.height_given.body, self.found.height_given.motion)
            figures["height_given_mpjpe_mm"] = score_body(
                height_given, self.found.height_given.camera, self.truth
            ).mpjpe_mm
        rounded = {name: round(value, 3) for name, value in figures.items()}
        return TransferRow(self.move, self.number, stature, noise_mm, adapt, camera_fit, rounded)


def joint_errors(performance: Performance, camera: CameraPath, truth: Truth, stature: float) -> dict[str, float]:
    """How far joints are from the actor's true ones, both seen by their own camera and the body at the actor's size:
    hips on hips (mpjpe_mm), and where they are in the frame (placed_mm)."""
    made = transform(invert(camera.T_world_camera), performance.joints_m()) / stature
    true = transform(invert(truth.camera.T_world_camera), truth.joints_m)
    placed = 1000 * np.linalg.norm(made - true, axis=-1).mean()
    return {"mpjpe_mm": float(mpjpe_mm(made, true).mean()), "placed_mm": float(placed)}
