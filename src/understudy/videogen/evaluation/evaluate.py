"""Measures films of held-out sets, subjects and paths: picture, camera, subject (CineScene, section 4).

Every figure is taken on moves at full amplitude, by clip and by frame: a mean over frames hides what a model does not
know, because the first frames look like the first picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from understudy.geometry.rotations import rotation_angle
from understudy.metrics.camera import cam_mc, rotation_error_sum, translation_error_sum
from understudy.metrics.image import ssim
from understudy.metrics.lpips import Lpips
from understudy.runtime.progress import Progress, silent
from understudy.synthetic.worlds.camera_paths import MoveMix
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.synthetic.worlds.endless import ClipMix, ClipSizes, EndlessClips, SceneDescription
from understudy.videogen.evaluation.contestants import ClipMaker, Clips, TrainedModel, covered
from understudy.videogen.evaluation.glomap_cameras import glomap_poses
from understudy.videogen.evaluation.pose_search import candidate_poses, find_poses
from understudy.videogen.evaluation.subject_check import (
    MOVES,
    FoundSubjects,
    colour_agreement,
    find_silhouettes,
    movement,
    placed_as_said,
)
from understudy.videogen.sample import frames_of

__all__ = [
    "MEASURED_MOVES",
    "CameraFigures",
    "ClipFigures",
    "EvaluatedClips",
    "Evaluation",
    "SubjectFigures",
    "background_psnr",
    "camera_figures",
    "measure",
    "psnr_by_frame",
]

GLOMAP_FROM_PX = 256
"""Width of frames from which cameras are found by structure from motion, as others do it, and not by the known set."""
MEASURED_MOVES = {
    "pan 75°": MoveMix({"pan": 1.0}, math.radians(75.0)),
    "arc 60°": MoveMix({"arc": 1.0}, math.radians(60.0)),
}


@dataclass(frozen=True)
class Evaluation:
    """On what films are measured."""

    clips: int = 16
    """Held-out clips of each move, per seed."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each has sets, subjects, paths and noise of its own."""
    posed_clips: int = 4
    """How many of them, per seed, have their cameras searched for."""


@dataclass(frozen=True)
class CameraFigures:
    """Where a film was taken from; one number a clip, NaN where it could not be told."""

    last_rotation_deg: Float[np.ndarray, " clip"]
    """Between the last frame's camera and the wanted one."""
    last_distance_m: Float[np.ndarray, " clip"]
    """NaN as well where cameras were found in a scale of their own."""
    rotation_sum_rad: Float[np.ndarray, " clip"]
    """RotErr, summed over frames."""
    translation_sum: Float[np.ndarray, " clip"]
    """TransErr; NaN where the true camera stays in place."""
    cam_mc: Float[np.ndarray, " clip"]


@dataclass(frozen=True)
class SubjectFigures:
    """What can be said of the subject, by clip: 1 yes, 0 no, NaN not asked or not found."""

    present: Float[np.ndarray, " clip"]
    moves: Float[np.ndarray, " clip"]
    placed: Float[np.ndarray, " clip"]
    """On the side that the words name."""
    coloured: Float[np.ndarray, " clip"]
    """0.5: by chance, 1: no other colours fit the clothes better."""
    unasked: Float[np.ndarray, " clip"]
    """Present in the same clip asked for without anybody; NaN for films that heed no words."""


@dataclass(frozen=True)
class ClipFigures:
    """A film's figures on one move. Clips of all seeds follow each other, as many of each."""

    psnr_db: Float[np.ndarray, "clip frame"]
    """Against the subject-free truth, outside the subject and its shadow."""
    ssim: Float[np.ndarray, "clip frame"]
    """With the true subject pasted in, so that it counts for nothing."""
    lpips: Float[np.ndarray, "clip frame"] | None
    """Likewise; None without its network."""
    uncovered_db: Float[np.ndarray, " clip"]
    """PSNR of the background that no picture of the set reaches, over a whole clip; NaN where all is reached."""
    mirrored_gain_db: Float[np.ndarray, " clip"]
    """How much nearer the mirrored path's film, of the same noise, is to its own truth than to this path's."""
    camera: CameraFigures | None
    subject: SubjectFigures


@dataclass(frozen=True)
class EvaluatedClips:
    """Some clips to look at: what they should show, and the film."""

    words: list[str]
    frames: UInt8[np.ndarray, "clip frame height width 3"]


def measure(
    maker: ClipMaker,
    sizes: ClipSizes,
    move: MoveMix,
    evaluation: Evaluation = Evaluation(),
    search_cameras: bool = True,
    progress: Progress = silent,
    lpips: Lpips | None = None,
) -> tuple[ClipFigures, EvaluatedClips]:
    """A film's figures on one move, and the first seed's clips. The same held-out clips for every film."""
    parts, clips = [], []
    for number, seed in enumerate(evaluation.seeds):
        part, made = _measure_seed(maker, sizes, move, evaluation, seed, search_cameras, lpips)
        parts.append(part)
        clips = clips or [made]  # The others would only fill the memory.
        progress(number + 1, len(evaluation.seeds))
    return _joined(parts), clips[0]


def background_psnr(
    maker: ClipMaker,
    sizes: ClipSizes,
    move: MoveMix,
    evaluation: Evaluation = Evaluation(),
    progress: Progress = silent,
) -> Float[np.ndarray, "clip frame"]:
    """`ClipFigures.psnr_db` alone, in a third of the time."""
    parts = []
    for number, seed in enumerate(evaluation.seeds):
        batch = _held_out(seed, sizes, move).clips(range(evaluation.clips))
        parts.append(psnr_by_frame(maker(batch, seed).clamp(-1, 1), batch.empty, batch.mask == 0).numpy())
        progress(number + 1, len(evaluation.seeds))
    return np.concatenate(parts)


def _held_out(seed: int, sizes: ClipSizes, move: MoveMix, empty_share: float = 0.0) -> EndlessClips:
    return EndlessClips(seed, sizes, split="held_out", mix=ClipMix(moves=move, empty_share=empty_share))


def _measure_seed(
    maker: ClipMaker,
    sizes: ClipSizes,
    move: MoveMix,
    evaluation: Evaluation,
    seed: int,
    search_cameras: bool,
    lpips: Lpips | None,
) -> tuple[ClipFigures, EvaluatedClips]:
    held_out = _held_out(seed, sizes, move)
    every, posed = range(evaluation.clips), range(evaluation.posed_clips)
    scene, batch = held_out.describe(every), held_out.clips(every)
    mirrored = held_out.clips(every, mirrored=True)
    made, made_mirrored = (maker(clips, seed).clamp(-1, 1) for clips in (batch, mirrored))
    outside_both = (batch.mask == 0) & (mirrored.mask == 0)
    own, other = (psnr_by_frame(made_mirrored, clips.empty, outside_both) for clips in (mirrored, batch))
    silhouettes = find_silhouettes(made, batch.empty, batch.mask)
    camera = None
    if search_cameras and posed:
        background = ((batch.mask == 0) & ~silhouettes.body)[posed]
        if sizes.width < GLOMAP_FROM_PX:
            candidates = candidate_poses(batch.T_start_camera[posed], mirrored.T_start_camera[posed])
            found = _numpy(
                find_poses(held_out.describe(posed), sizes, made[posed], background, candidates).T_start_camera
            )
        else:
            found = _mapped_poses(made[posed], batch.K[posed], background)
        camera = camera_figures(found, _numpy(batch.T_start_camera[posed]), metric=sizes.width < GLOMAP_FROM_PX)
    nobody = _held_out(seed, sizes, move, empty_share=1.0).describe(every).words
    # With the true subject in it.
    pasted = torch.where((batch.mask == 0)[:, :, None], made, batch.video)
    figures = ClipFigures(
        psnr_db=psnr_by_frame(made, batch.empty, batch.mask == 0).numpy(),
        ssim=_ssim(pasted, batch.video),
        lpips=_lpips(pasted, batch.video, lpips),
        uncovered_db=_uncovered_db(made, batch),
        mirrored_gain_db=(own - other).mean(1).numpy(),
        camera=camera,
        subject=_subject(maker, batch, made, scene, silhouettes, nobody, seed),
    )
    return figures, EvaluatedClips(batch.words, frames_of(made))


def _mapped_poses(
    made: Float[Tensor, "batch frame 3 height width"],
    K: Float[Tensor, "batch 3 3"],
    background: Bool[Tensor, "batch frame height width"],
) -> Float[np.ndarray, "batch frame 4 4"]:
    """Cameras by structure from motion; NaN where it fails."""
    poses = []
    for frames, lens, where in zip(frames_of(made), _numpy(K), background.cpu().numpy(), strict=True):
        found = glomap_poses(frames, lens, where)
        poses.append(np.full((len(frames), 4, 4), np.nan) if found is None else found)
    return np.stack(poses)


def _numpy(tensor: Float[Tensor, "..."]) -> Float[np.ndarray, "..."]:
    return tensor.double().cpu().numpy()


def psnr_by_frame(
    made: Float[Tensor, "batch frame 3 height width"],
    truth: Float[Tensor, "batch frame 3 height width"],
    where: Tensor,
) -> Float[Tensor, "batch frame"]:
    """PSNR in dB of every frame over the pixels of `where`, of pictures in −1 … 1; at most 99."""
    error = ((made - truth) / 2).square().mean(2)
    mean = (error * where).sum((2, 3)) / where.sum((2, 3)).clamp(min=1)
    return (-10 * mean.clamp(min=10**-9.9).log10()).cpu()


def _uncovered_db(made: Float[Tensor, "batch frame 3 height width"], batch: ClipBatch) -> Float[np.ndarray, " clip"]:
    """Over all frames of a clip together, because a frame has few such pixels."""
    where = (batch.mask == 0) & ~covered(batch)
    error = ((made - batch.empty) / 2).square().mean(2)
    count = where.sum((1, 2, 3))
    mean = (error * where).sum((1, 2, 3)) / count
    enough = count >= 0.01 * where[0].numel()
    return torch.where(enough, -10 * mean.clamp(min=10**-9.9).log10(), torch.nan).cpu().numpy()


def _ssim(made: Clips, truth: Clips) -> Float[np.ndarray, "clip frame"]:
    pairs = zip(frames_of(made), frames_of(truth), strict=True)
    return np.array([[ssim(a, b) for a, b in zip(*clips, strict=True)] for clips in pairs])


def _lpips(made: Clips, truth: Clips, network: Lpips | None) -> Float[np.ndarray, "clip frame"] | None:
    if network is None:
        return None
    return np.stack([_numpy(network(a, b)) for a, b in zip(made, truth, strict=True)])


def camera_figures(
    found: Float[np.ndarray, "clip frame 4 4"], true: Float[np.ndarray, "clip frame 4 4"], metric: bool = True
) -> CameraFigures:
    """How far found cameras are from true ones, both to the start view's camera; `metric`: both in metres."""
    between = np.swapaxes(found[:, -1, :3, :3], 1, 2) @ true[:, -1, :3, :3]
    pairs = list(zip(found, true, strict=True))
    # A scale cannot be taken from a path that stays in place.
    travels = np.linalg.norm(true[..., :3, 3], axis=-1).max(1) > 1e-6
    return CameraFigures(
        last_rotation_deg=np.degrees(rotation_angle(between)),
        last_distance_m=np.where(metric, np.linalg.norm(found[:, -1, :3, 3] - true[:, -1, :3, 3], axis=-1), np.nan),
        rotation_sum_rad=np.array([rotation_error_sum(a, b) for a, b in pairs]),
        translation_sum=np.where(travels, [translation_error_sum(a, b) for a, b in pairs], np.nan),
        cam_mc=np.where(travels, [cam_mc(a, b) for a, b in pairs], np.nan),
    )


def _subject(
    maker: ClipMaker,
    batch: ClipBatch,
    made: Float[Tensor, "batch frame 3 height width"],
    scene: SceneDescription,
    silhouettes: FoundSubjects,
    nobody: list[str],
    seed: int,
) -> SubjectFigures:
    asked = silhouettes.asked.any(1).cpu()
    changes = movement(silhouettes)
    unasked = torch.full((len(batch),), torch.nan)
    if isinstance(maker, TrainedModel):
        alone = maker(replace(batch, words=nobody), seed).clamp(-1, 1)
        unasked = _of_asked(find_silhouettes(alone, batch.empty, batch.mask).present, asked)
    return SubjectFigures(
        present=_of_asked(silhouettes.present, asked).numpy(),
        moves=torch.where(changes.isnan(), changes, (changes > MOVES).float()).numpy(),
        placed=placed_as_said(silhouettes, scene, batch.K).numpy(),
        coloured=colour_agreement(made, silhouettes, scene).numpy(),
        unasked=unasked.numpy(),
    )


def _of_asked(yes: Tensor, asked: Tensor) -> Float[Tensor, " batch"]:
    return torch.where(asked, yes.cpu().float(), torch.nan)


Figures = TypeVar("Figures", ClipFigures, CameraFigures, SubjectFigures)


def _joined(parts: Sequence[Figures]) -> Figures:
    """Figures of several seeds as one, along the clips."""
    values = {}
    for field in fields(parts[0]):
        every = [getattr(part, field.name) for part in parts]
        if isinstance(every[0], np.ndarray):
            values[field.name] = np.concatenate(every)
        else:
            values[field.name] = None if every[0] is None else _joined(every)
    return replace(parts[0], **values)
