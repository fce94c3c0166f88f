"""The stages of one cut, in their order. Each reads files, makes files, and reports how well it did.

Stages hand over through the film's folder only: what a person edits there is what the next stage reads.
"""

import itertools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from understudy.characters.rig.character import character_from_rig
from understudy.cinematography.camera_fit import CameraFitConfig, fit_camera
from understudy.core.film import Performance
from understudy.decompose.body.fit import BodyFitConfig, fit_actor
from understudy.decompose.camera.solve import CameraConfig, solve_camera
from understudy.decompose.matte.presence import find_presence
from understudy.decompose.matte.refine import MatteConfig, refine_matte
from understudy.decompose.people.find import PeopleConfig, find_people
from understudy.decompose.plate.clean_plate import PlateConfig, make_clean_plate
from understudy.io.bvh import read_bvh, write_bvh
from understudy.io.cameras import read_camera_json, write_camera_json
from understudy.io.files import reading
from understudy.io.gltf.write import write_character
from understudy.io.motions import read_landmarks_npz, read_motion_npz, write_landmarks_npz, write_motion_npz
from understudy.io.video.streams import read_video
from understudy.retarget.retarget import RetargetConfig, retarget_motion
from understudy.runtime.errors import FileFormatError, InputError, NobodyInShot
from understudy.runtime.progress import Progress
from understudy.studio.pipeline.artifacts import (
    load_fit,
    load_presence,
    load_solution,
    save_fit,
    save_presence,
    save_solution,
)
from understudy.studio.pipeline.cut import Cut
from understudy.studio.project import MANIFEST

__all__ = [
    "actor_performance",
    "body_stage",
    "camera_fit_stage",
    "camera_stage",
    "landmarks_file",
    "mask_stage",
    "people_count",
    "people_stage",
    "plate_stage",
    "presence",
    "presence_stage",
    "retarget_stage",
    "understudy_performance",
]


def people_stage(cut: Cut) -> None:
    """Who is in the shot: landmarks and a rough mask for each person, the main actor first."""
    config = PeopleConfig()

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        people = find_people(cut.shot, folder / "people", config, progress)
        for number, track in enumerate(people.tracks, 1):
            write_landmarks_npz(folder / f"people/landmarks_{number}.npz", track)
        return {
            "people": len(people.tracks),
            "seen": [round(float(track.seen.mean()), 4) for track in people.tracks],
            "centre_px": [np.round(track.landmarks_px.mean((0, 1))).tolist() for track in people.tracks],
        }

    record = cut.run("people", [], asdict(config), ["people"], work, reads_shot=True)
    count = people_count(cut)
    if cut.config.actor > count:
        raise NobodyInShot(
            f"--actor is {cut.config.actor}, but {count} people were found in {cut.shot.path}; give 1 to {count}"
        )
    if count > 1:
        chosen = cut.config.actor
        with reading(cut.project.path(MANIFEST), "film's manifest", advice="delete it and make the film anew"):
            x, y = (float(value) for value in record.report["centre_px"][chosen - 1])
        cut.narrator.say(
            f"{count} people were found; actor {chosen} is replaced (around {x:.0f}, {y:.0f} in the picture). "
            f"Choose another with --actor 1 … {count}."
        )


def people_count(cut: Cut) -> int:
    """How many people have masks and landmarks of their own: by the files that are there, not by what is said."""
    outputs = cut.project.stages[cut.prefix + "people"].outputs
    found = (f"{cut.prefix}people/person_{number}.mkv" in outputs for number in itertools.count(1))
    return sum(1 for _ in itertools.takewhile(bool, found))


def _rough_masks(cut: Cut, edited: bool = True) -> list[str]:
    """The masks of all people, the replaced actor's first; if the user has `edited` the matte, it stands for it."""
    masks = [f"people/person_{number}.mkv" for number in range(1, people_count(cut) + 1)]
    mine = masks.pop(cut.config.actor - 1)
    matte = f"{cut.actor}/mask.mkv"
    others = ["people/others.mkv"] if cut.path("people/others.mkv").exists() else []
    return [matte if edited and matte in cut.edits() else mine, *masks, *others]


def landmarks_file(cut: Cut) -> str:
    """The landmarks of the actor who is replaced."""
    return f"people/landmarks_{cut.config.actor}.npz"


def camera_stage(cut: Cut) -> None:
    """How the camera moved, from what stands still in the picture."""
    config = CameraConfig()
    masks = _rough_masks(cut)

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        solution = solve_camera(cut.shot, [cut.path(mask) for mask in masks], config, progress)
        save_solution(folder / "camera/solution.npz", solution)
        return {
            "move": solution.move,
            "residual_px": round(float(np.median(solution.residual_px)), 3),
            "points": len(solution.points),
            "notes": list(solution.notes),
        }

    cut.run("camera", masks, asdict(config), ["camera/solution.npz"], work, reads_shot=True)


def plate_stage(cut: Cut) -> None:
    """The shot without its actor, and how much of each pixel is not the shot's own."""
    config = PlateConfig()
    masks = _rough_masks(cut)
    outputs = ["plate/clean_plate.mp4", "plate/removed.mkv"]

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        solution = load_solution(cut.path("camera/solution.npz"))
        paths, (plate, removed) = [cut.path(mask) for mask in masks], (folder / name for name in outputs)
        return asdict(make_clean_plate(cut.shot, paths, solution, plate, removed, config, progress))

    cut.run("plate", [*masks, "camera/solution.npz"], asdict(config), outputs, work, reads_shot=True)


def mask_stage(cut: Cut) -> None:
    """The actor's matte, refined by the difference to the clean plate."""
    config = MatteConfig()
    rough, *others = _rough_masks(cut, edited=False)
    landmarks = landmarks_file(cut)

    def work(folder: Path, progress: Progress) -> None:
        track = read_landmarks_npz(cut.path(landmarks))
        out = folder / cut.actor / "mask.mkv"
        others_paths = [cut.path(other) for other in others]
        plate = cut.path("plate/clean_plate.mp4")
        refine_matte(cut.shot, cut.path(rough), plate, track, out, others_paths, config, progress)

    reads = [rough, *others, landmarks, "plate/clean_plate.mp4"]
    cut.run("mask", reads, asdict(config), [f"{cut.actor}/mask.mkv"], work, reads_shot=True)


def presence_stage(cut: Cut) -> None:
    """When the actor is in the shot, and the character with them.

    Raises:
        NobodyInShot: the actor's matte is empty.
    """
    matte, landmarks = f"{cut.actor}/mask.mkv", landmarks_file(cut)

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        present = find_presence(read_video(cut.path(matte)))
        if not present.any():
            raise NobodyInShot(f"{cut.path(matte)} shows the actor in no frame; give another shot, or edit it")
        save_presence(folder / cut.actor / "presence.json", present, cut.config.first_frame)
        seen = read_landmarks_npz(cut.path(landmarks)).seen
        return {"present": round(float(present.mean()), 4), "seen": round(float(seen[present].mean()), 4)}

    settings = {"first_frame": cut.config.first_frame}
    cut.run("presence", [matte, landmarks], settings, [f"{cut.actor}/presence.json"], work)


def presence(cut: Cut) -> Bool[np.ndarray, " time"]:
    """In which frames of a cut the actor is there."""
    return load_presence(cut.path(f"{cut.actor}/presence.json"), len(cut.shot))


def body_stage(cut: Cut) -> None:
    """The actor's body and motion, and the camera, in one metric world with the ground at y = 0."""
    config = BodyFitConfig()
    landmarks, mask = landmarks_file(cut), f"{cut.actor}/mask.mkv"
    outputs = [
        *(f"{cut.actor}/{name}" for name in ("motion.npz", "motion.bvh", "body.glb", "fit.npz")),
        "camera/source.json",
    ]

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        track, solution = read_landmarks_npz(cut.path(landmarks)), load_solution(cut.path("camera/solution.npz"))
        fit = fit_actor(track, solution, cut.config.height_m, cut.path(mask), config, progress)
        write_motion_npz(folder / cut.actor / "motion.npz", fit.motion)
        write_bvh(folder / cut.actor / "motion.bvh", fit.motion)
        write_character(folder / cut.actor / "body.glb", fit.body)
        save_fit(folder / cut.actor / "fit.npz", fit.reprojection_px, fit.ground_contact, fit.T_world_solution)
        write_camera_json(folder / "camera/source.json", fit.camera)
        return {
            "reprojection_px": round(float(np.nanmedian(fit.reprojection_px)), 2),
            "height_m": round(fit.diagnostics["height_m"], 3),
        }

    def adopt(folder: Path, edits: list[str]) -> None:
        adopt_motion(cut, cut.actor, folder, edits)

    reads = [landmarks, mask, "camera/solution.npz"]
    cut.run("body", reads, asdict(config) | {"height_m": cut.config.height_m}, outputs, work, adopt)


def retarget_stage(cut: Cut) -> None:
    """The actor's motion on the character's own skeleton."""
    config = RetargetConfig(adapt=cut.config.adapt)

    def work(folder: Path, progress: Progress) -> None:
        actor = actor_performance(cut)
        motion = retarget_motion(actor.motion, actor.character, load_character(cut), config, ground_contact(cut))
        write_motion_npz(folder / "performance/motion.npz", motion)
        write_bvh(folder / "performance/motion.bvh", motion)

    reads = [f"{cut.actor}/{name}" for name in ("motion.npz", "body.glb", "fit.npz")] + ["/character/character.glb"]
    outputs = ["performance/motion.npz", "performance/motion.bvh"]

    def adopt(folder: Path, edits: list[str]) -> None:
        adopt_motion(cut, "performance", folder, edits)

    cut.run("retarget", reads, asdict(config), outputs, work, adopt)


def camera_fit_stage(cut: Cut) -> None:
    """The camera re-fitted to the new body, or the source camera where that is switched off."""
    config = CameraFitConfig()

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        source = read_camera_json(cut.path("camera/source.json"))
        if not cut.config.camera_fit:
            write_camera_json(folder / "camera/fitted.json", source)
            return {"off": True}
        move = load_solution(cut.path("camera/solution.npz")).move
        fit = fit_camera(actor_performance(cut), understudy_performance(cut), source, move, config, progress)
        write_camera_json(folder / "camera/fitted.json", fit.camera)
        return {
            f"{figure}_{moment}": round(float(np.median(values)), 4)
            for moment in ("before", "scaled", "after")
            for figure, values in vars(getattr(fit, moment)).items()
        }

    reads = [
        *(f"{cut.actor}/{name}" for name in ("motion.npz", "body.glb", "fit.npz")),
        *("/character/character.glb", "performance/motion.npz", "camera/source.json", "camera/solution.npz"),
    ]
    settings = asdict(config) | {"camera_fit": cut.config.camera_fit}
    cut.run("camera fit", reads, settings, ["camera/fitted.json"], work)


def load_character(cut: Cut) -> Any:
    """The understudy."""
    return character_from_rig(cut.project.path("character/character.glb"))


def ground_contact(cut: Cut) -> np.ndarray:
    """When the actor's left and right foot stand, `Bool "time 2"`."""
    return load_fit(cut.path(f"{cut.actor}/fit.npz"))[1]


def actor_performance(cut: Cut) -> Performance:
    """The actor's own body in motion."""
    body = character_from_rig(cut.path(f"{cut.actor}/body.glb"))
    return Performance(body, read_motion_npz(cut.path(f"{cut.actor}/motion.npz")))


def understudy_performance(cut: Cut) -> Performance:
    """The character in motion."""
    return Performance(load_character(cut), read_motion_npz(cut.path("performance/motion.npz")))


def adopt_motion(cut: Cut, where: str, folder: Path, edits: list[str]) -> None:
    """Write an edited BVH as .npz, or an edited .npz as BVH, below a folder.

    Raises:
        InputError: both were edited.
        FileFormatError: it has not as many frames as the shot.
    """
    table, bvh = f"{where}/motion.npz", f"{where}/motion.bvh"
    if bvh in edits and table in edits:
        raise InputError(
            f"{cut.path(bvh)} and {cut.path(table)} are one motion in two formats and both were edited; delete the one"
            " that you do not want"
        )
    if bvh in edits:
        before = read_motion_npz(cut.path(table))
        # Programs write their scene's frame rate: what counts is that frame follows frame.
        motion = replace(read_bvh(cut.path(bvh), before.skeleton), frame_rate=before.frame_rate)
        write_motion_npz(folder / table, motion)
    elif table in edits:
        motion = read_motion_npz(cut.path(table))
        write_bvh(folder / bvh, motion)
    else:
        return
    if len(motion) != len(cut.shot):
        edited = cut.path(bvh if bvh in edits else table)
        raise FileFormatError(
            f"{edited} has {len(motion)} frames, the shot {len(cut.shot)}; export as many, or delete it to have ours"
            " back"
        )
