"""The camera re-fit against D-NeRF inversion, which DreamCinema uses: the same shots, the same new bodies, one run.

    python -m benchmarks.films.camera_fit [--out build/camera_fit] [--moves arc,push_in,pan] [--device cuda] [--paper]

Both start from the actor's true motion and camera, so that only the fit is compared. The field is small enough for a
CPU; `--paper` makes it as large as in D-NeRF's paper, which takes a GPU and days. Writes `results/camera_fit.json`.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.record import save, table
from understudy.cinematography.dnerf.config import CPU, PAPER
from understudy.cinematography.dnerf.fitter import DNeRFFitter
from understudy.cinematography.fitters import CAMERA_FITTERS
from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.core.film import Performance
from understudy.evaluation.scoring import score_silhouettes
from understudy.evaluation.transfer_bodies import new_body
from understudy.evaluation.transfer_shots import joint_errors
from understudy.evaluation.truth import Truth, write_truth
from understudy.retarget.retarget import retarget_motion, world_scale
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticShotConfig, film_synthetic_shot
from understudy.synthetic.people.motions import Action

KINDS: dict[str, CameraMoveKind] = {"pan": "rotation", "static": "static"}
"""Of the moves that do not travel."""
STATURES = (0.7, 1.25)


def main() -> None:
    """Fit every body in every shot with both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/camera_fit"))
    parser.add_argument("--moves", default="arc,push_in,pan")
    parser.add_argument("--device")
    parser.add_argument("--paper", action="store_true")
    options = parser.parse_args()
    field = DNeRFFitter(PAPER if options.paper else CPU, options.device)
    fitters = {name: (field if name == "dnerf" else fitter()).build() for name, fitter in CAMERA_FITTERS.items()}
    rows = []
    for seed, move in enumerate(options.moves.split(",")):
        config = SyntheticShotConfig(
            width=480, height=270, frames=36, camera=CameraMove(move), action=Action("walk_and_wave"),
            actor=("woman", "man", "teenager")[seed % 3], seed=700 + seed,
        )  # fmt: skip
        shot = film_synthetic_shot(config, options.out / move)
        truth, scene = write_truth(options.out / move, shot), shot.scene
        actor = Performance(scene.body, scene.person.motion)
        for stature in STATURES:
            character = new_body(scene.body.height_m * stature)
            motion = retarget_motion(actor.motion, actor.character, character, ground_contact=scene.ground_contact)
            understudy = Performance(character, motion)
            for name, fit in fitters.items():
                started = time.perf_counter()
                camera = fit(
                    actor,
                    understudy,
                    scene.camera,
                    KINDS.get(move, "parallax"),
                    world_scale(actor.character, character),
                ).camera
                seconds = time.perf_counter() - started
                rows.append({"move": move, "stature": stature, "fitter": name, "seconds": round(seconds, 2)}
                            | figures(understudy, camera, truth, stature))  # fmt: skip
                print(table(rows[-1:]), flush=True)
    print(table(rows))
    mean = {name: means([row for row in rows if row["fitter"] == name]) for name in fitters}
    ratio = mean["dnerf"]["seconds"] / mean["points"]["seconds"]
    print(table([{"fitter": name, **figures} for name, figures in mean.items()]), f"\n{ratio:.0f} times faster")
    print(save("camera_fit", {"rows": rows, "mean": mean, "times_faster": round(ratio, 1), "field": field_size(field)}))


def figures(understudy: Performance, camera: CameraPath, truth: Truth, stature: float) -> dict[str, float]:
    """PA, IoU and box against the actor's silhouette; joints at the actor's size against the actor's."""
    silhouettes = score_silhouettes(understudy, camera, truth, every=3)
    errors = joint_errors(understudy, camera, truth, stature)
    return {
        "PA %": round(100 * float(silhouettes.pixel_agreement.mean()), 2),
        "IoU %": round(100 * float(silhouettes.iou.mean()), 2),
        "MPJPE mm": round(errors["mpjpe_mm"], 1),
        "joints in the frame, mm": round(errors["placed_mm"], 1),
        "box height %": round(float(silhouettes.box_height_percent.mean()), 2),
    }


def means(rows: list[dict]) -> dict[str, float]:
    """Of all figures."""
    return {name: round(float(np.mean([row[name] for row in rows])), 2) for name in list(rows[0])[3:]}


def field_size(fitter: DNeRFFitter) -> dict:
    """What the reference was run with, in numbers."""
    config = fitter.config
    return {
        "key_frames": config.key_frames,
        "neurons": config.radiance_field.width,
        "layers": config.radiance_field.depth,
        "picture_px": config.training.picture_px,
        "training_steps": config.training.steps,
        "inversion_steps": config.inversion.steps,
        "device": fitter.device or "cuda, else cpu",
    }


if __name__ == "__main__":
    main()
