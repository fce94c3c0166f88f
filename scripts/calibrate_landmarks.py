"""Measure how BlazePose sees rendered people whose bodies are known: the constants of the body fit.

    python scripts/calibrate_landmarks.py [--clips 64] [--network heavy] [--out build/calibration]

People of all sizes in random poses (joints within what joints can do), from all sides and heights, none of which is in
a benchmark. Prints the constants of decompose/people/landmark_bias.py. Films that are there already are not made again.
"""

import argparse
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d

from understudy.body.model import LANDMARK_JOINTS, BodyModel
from understudy.core.camera import CameraPath
from understudy.core.footage import LANDMARKS, LandmarkTrack
from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.decompose.body.priors import HABITS
from understudy.decompose.people.find import PeopleConfig, find_people
from understudy.decompose.people.landmark_bias import BONE_MATRIX, BONES
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import matrix_from_vector, quaternion_from_matrix
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot
from understudy.runtime.errors import NobodyInShot
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticShotConfig, expose, set_up
from understudy.synthetic.people.motions import Action

FIRST_SEED = 9000
"""Benchmarks and tests use seeds below."""
FRAMES, FRAME_RATE = 24, Fraction(12)


def main() -> None:
    """Film, find the landmarks, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("build/calibration"))
    parser.add_argument("--network", choices=("full", "heavy"), default="full")
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.clips)
    clips = [clip for seed in seeds if (clip := observe(seed, options.out, options.network)) is not None]
    print(f"{len(clips)} of {options.clips} people were found")
    shift = landmark_shift(clips)
    for name, value in shift.items():
        print(f'"{name}": ({", ".join(f"{1000 * v:.0f}" for v in value)}),')
    for name, (spread, gain, offset) in bone_depths(clips, shift).items():
        print(f'"{name}": ({spread:.2f}, {gain:.2f}, {offset:.2f}),')


@dataclass(frozen=True)
class Clip:
    """What the landmark model said of a person, and the truth."""

    track: LandmarkTrack
    camera: CameraPath
    landmarks_m: np.ndarray
    """The body model's own, in the world: (time, 33, 3)."""
    R_world_landmark: np.ndarray
    """Axes of the joint that carries each landmark: (time, 33, 3, 3)."""
    root_m: np.ndarray
    height_m: float


def observe(seed: int, out: Path, network: Literal["full", "heavy"]) -> Clip | None:
    """Film one person; None when nobody was found."""
    rng = np.random.default_rng([seed, 3])
    camera = CameraMove(
        distance_m=rng.uniform(3.0, 5.5), height_m=rng.uniform(0.4, 2.6), azimuth_rad=rng.uniform(-np.pi, np.pi)
    )
    config = SyntheticShotConfig(
        width=768, height=576, frames=FRAMES, frame_rate=FRAME_RATE, scenery=("courtyard", "room")[seed % 2],
        action=Action("wave"), camera=camera, height_m=rng.uniform(1.2, 1.95), seed=seed,
    )  # fmt: skip
    scene = set_up(config)
    motion = rng(scene.body.skeleton, rng)
    scene = replace(scene, person=replace(scene.person, motion=motion))
    folder = out / str(seed)
    film = folder / "shot.mp4"
    if not film.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with VideoWriter(film, config.width, config.height, FRAME_RATE, "film") as writer:
            for exposed in expose(scene, config):
                writer.write(exposed.picture)
    try:
        track = find_people(open_shot(film), folder / "people", PeopleConfig(network=network)).tracks[0]
    except NobodyInShot:
        return None
    body = BodyModel.load().shaped(scene.shape)
    skeleton = scene.body.skeleton
    T = forward_kinematics(
        skeleton.parents, skeleton.T_parent_joint[:, :3, 3], motion.q_parent_joint, motion.root_position_m
    )
    R = T[:, list(LANDMARK_JOINTS)][..., :3, :3]
    landmarks = T[:, list(LANDMARK_JOINTS)][..., :3, 3] + np.einsum("tlij,lj->tli", R, body.landmark_offsets)
    return Clip(track, scene.camera, landmarks, R, motion.root_position_m, body.height_m)


def rng(skeleton: Skeleton, rng: np.random.Generator) -> Motion:
    """A smooth motion through poses at random: the lowest point glides on the ground, arms stay out of the body."""
    while True:
        q = quaternion_from_matrix(matrix_from_vector(wandering_turns(rng)))
        T = forward_kinematics(skeleton.parents, skeleton.T_parent_joint[:, :3, 3], q, np.zeros((FRAMES, 3)))
        chest = T[:, BODY_JOINTS.index("Spine1")]
        arms = [BODY_JOINTS.index(side + part) for side in ("Left", "Right") for part in ("ForeArm", "Hand")]
        local = np.einsum("tji,taj->tai", chest[:, :3, :3], T[:, arms][..., :3, 3] - chest[:, None, :3, 3])
        outside = (np.hypot(local[..., 0] / 1.3, local[..., 2]) > 0.14) & (local[..., 2] > -0.25)
        if outside.mean() > 0.97:
            break
    root = np.zeros((FRAMES, 3))
    root[:, 1] = -T[..., 1, 3].min(1) + 0.03
    return Motion(skeleton, q, root, FRAME_RATE)


def wandering_turns(rng: np.random.Generator) -> np.ndarray:
    """Rotation vectors (time, 22, 3) that wander about how people hold their joints, within what joints can do."""
    turns = np.zeros((FRAMES, len(BODY_JOINTS), 3))
    for name, mean, spread, low, high in HABITS:
        for side in ("Left", "Right") if name.startswith("Left") else ("",):
            flip = np.array([1.0, -1.0, -1.0]) if side == "Right" else np.ones(3)
            turn = np.clip(mean + wander(rng, 5.0) * np.array(spread), low, high) * flip
            joint = BODY_JOINTS.index(name.replace("Left", side) if side else name)
            group = {"Spine": 3, "Neck": 2}.get(name, 1)
            turns[:, joint : joint + group] = (turn / group)[:, None]
    turns[:, 0] = wander(rng, 8.0) * [0.12, 0.5, 0.08]
    return turns


def wander(rng: np.random.Generator, frames: float) -> np.ndarray:
    """Smooth noise of unit size, (time, 3)."""
    smooth = gaussian_filter1d(rng.normal(size=(FRAMES + 80, 3)), frames, axis=0)
    return (smooth / smooth.std(0))[40:-40]


def kind(name: str) -> str:
    """A landmark's name without its side."""
    return "_".join(part for part in name.split("_") if part not in ("left", "right"))


def landmark_shift(clips: list[Clip]) -> dict[str, np.ndarray]:
    """Where the landmark model sees each landmark off the body's own, as shares of the height: left side's axes.

    Each sight tells two of three coordinates; all of them together, with large errors counted less, tell three.
    """
    normal: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for clip in clips:
        R_camera_world = invert(clip.camera.T_world_camera)[:, :3, :3]
        p = (clip.landmarks_m - clip.camera.T_world_camera[:, None, :3, 3]) @ np.swapaxes(R_camera_world, 1, 2)
        focal, centre = clip.camera.K[:, None, [0, 1], [0, 1]], clip.camera.K[:, None, :2, 2]
        missing = (clip.track.landmarks_px - (p[..., :2] / p[..., 2:] * focal + centre)) * p[..., 2:] / focal
        rows = (R_camera_world[:, None] @ clip.R_world_landmark)[..., :2, :]
        for landmark, name in enumerate(LANDMARKS):
            flip = np.array([-1.0, 1.0, 1.0]) if "right" in name else np.ones(3)
            good = clip.track.seen & (clip.track.visibility[:, landmark] > 0.6)
            normal.setdefault(kind(name), []).append(
                ((rows[good, landmark] * flip).reshape(-1, 3), missing[good, landmark].reshape(-1) / clip.height_m)
            )
    result = {}
    for name, parts in normal.items():
        A, b = np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])
        x = np.zeros(3)
        for _ in range(20):
            weight = 1 / (1 + ((b - A @ x) / 0.012) ** 2)
            x = np.linalg.solve(A.T @ (weight[:, None] * A) + 1e-6 * np.eye(3), A.T @ (weight * b))
        result[name] = x
    return result


def bone_depths(clips: list[Clip], shift: dict[str, np.ndarray]) -> dict[str, tuple[float, float, float]]:
    """Spread, gain and offset of each bone's depth: truth ≈ gain · guess + offset, both as sines."""
    offset = np.array([shift[kind(name)] * ([-1, 1, 1] if "right" in name else 1) for name in LANDMARKS])
    samples: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        marks = clip.landmarks_m + clip.height_m * np.einsum("tlij,lj->tli", clip.R_world_landmark, offset)
        ray = clip.root_m - clip.camera.T_world_camera[:, :3, 3]
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        bones, guess = BONE_MATRIX @ marks, BONE_MATRIX @ clip.track.landmarks_m
        true = np.einsum("tbi,ti->tb", bones, ray) / np.linalg.norm(bones, axis=-1)
        said = guess[..., 2] / np.linalg.norm(guess, axis=-1)
        for row, bone in enumerate(BONES):
            ends = [
                clip.track.visibility[:, BONE_MATRIX[row] == value].min(1)
                for value in np.unique(BONE_MATRIX[row])
                if value
            ]
            good = clip.track.seen & (np.min(ends, 0) > 0.5)
            sample = np.stack([said[good, row], true[good, row]], 1)
            # What lies across the body points the other way in a mirror, where the network sees as well.
            across = bone.name in ("hips", "shoulders", "ears")
            samples.setdefault(kind(bone.name), []).append(np.concatenate([sample, -sample]) if across else sample)
    result = {}
    for name, parts in samples.items():
        said, true = np.concatenate(parts).T
        gain, offset_ = 1.0, 0.0
        for _ in range(20):
            weight = 1 / (1 + ((true - gain * said - offset_) / 0.3) ** 2)
            gain, offset_ = np.polyfit(said, true, 1, w=np.sqrt(weight))
        result[name] = (float(np.sqrt(np.median((true - gain * said - offset_) ** 2)) / 0.6745), gain, offset_)
    return result


if __name__ == "__main__":
    main()
