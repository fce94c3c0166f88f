"""Where a character's feet stand in the picture, against where they would with the actor's true motion and camera.

    python -m benchmarks.films.contact --data DATA [--out build/contact] [--moves static pan …]

The synthetic shots of benchmarks.films.truth are taken apart and recast with rigs of DATA, of other sizes and
proportions than the actor, once with the plate's camera kept and once with the camera fitted to points on the bodies.
The truth is the actor's true motion on the same rig, seen by the true camera in the rig's larger or smaller world. What
is measured is the distance in the picture between the soles' middles of feet that truly stand, as a share of the
actor's height there; and how much taller or smaller the character is than in the truth. Writes `results/contact.json`
when all shots are measured.
"""

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.characters.laws import sole_points
from benchmarks.films.truth import ACTIONS, MOVES
from benchmarks.record import save, table
from understudy.characters.rig.character import character_from_rig
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.evaluation.transfer_shots import Recasting
from understudy.geometry.projection import project
from understudy.geometry.rigid import transform
from understudy.retarget.rest import SIDES
from understudy.retarget.retarget import retarget_motion, world_scale
from understudy.studio.pipeline.config import RecastConfig
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticScene, SyntheticShotConfig, film_synthetic_shot
from understudy.synthetic.people.motions import Action

RIGS = ("knight.glb", "robot_expressive.glb", "xbot.glb")
"""Short legs and a large head; long arms and no neck; a person."""
FITTERS = ("plate", "points")


def main() -> None:
    """Measure every rig in every shot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("build/contact"))
    parser.add_argument("--moves", nargs="*", default=[])
    options = parser.parse_args()
    rows = list[dict]()
    for seed, move in enumerate(MOVES):
        if not options.moves or move in options.moves:
            rows += measured(move, seed, options.data, options.out / move)
            print(table(rows[-len(RIGS) * len(FITTERS) :]), flush=True)
    summary = [of_camera(rows, fitter) for fitter in FITTERS]
    print(table(summary))
    if not options.moves:
        print(save("contact", {"summary": summary, "shots": rows}))


def measured(move: str, seed: int, data: Path, out: Path) -> list[dict]:
    """One shot with every rig and camera."""
    config = SyntheticShotConfig(
        width=960, height=540, frames=72, frame_rate=Fraction(24), camera=CameraMove(move),
        action=Action(ACTIONS[seed % len(ACTIONS)]), seed=seed,
    )  # fmt: skip
    shot = film_synthetic_shot(config, out)
    recasting, rows = Recasting(out, shot.path), []
    for name in RIGS:
        rig = character_from_rig(data / "rigs" / name)
        truth = true_take(shot.scene, rig)
        for fitter in FITTERS:
            found = recasting.with_body(rig, RecastConfig(camera_fitter=fitter))
            rows.append({"move": move, "rig": rig.name, "camera": fitter} | compared(truth, found, shot.scene))
    return rows


def true_take(scene: SyntheticScene, rig: Character) -> tuple[Performance, CameraPath]:
    """The actor's true motion on the rig, and the true camera in the rig's world."""
    actor, camera = scene.person, scene.camera
    motion = retarget_motion(actor.motion, scene.body, rig, ground_contact=scene.ground_contact)
    T = camera.T_world_camera.copy()
    T[:, :3, 3] *= world_scale(scene.body, rig)
    return Performance(rig, motion), CameraPath(T, camera.K, camera.width, camera.height, camera.frame_rate)


def compared(
    truth: tuple[Performance, CameraPath], found: tuple[Performance, CameraPath], scene: SyntheticScene
) -> dict[str, float]:
    """How far the soles are apart in the picture where feet truly stand, and the sizes."""
    joints = scene.person.joints_m()
    depth = transform(scene.camera.T_camera_world, joints)[..., 2].mean(1)
    height_px = scene.body.height_m * scene.camera.K[:, 1, 1] / depth
    apart, below = [], []
    for place, side in enumerate(SIDES):
        theirs, ours = (sole_px(*take, side) for take in (truth, found))
        away = (ours - theirs) / height_px[:, None]
        standing = scene.ground_contact[:, place]
        apart.append(np.linalg.norm(away[standing], axis=1))
        below.append(away[standing, 1])
    tall = [np.ptp(joints_px(*take)[..., 1], axis=1) for take in (truth, found)]
    off = np.concatenate(apart)
    return {
        "contact_off_percent": round(100 * float(np.median(off)), 2),
        "contact_off_90_percent": round(100 * float(np.percentile(off, 90)), 2),
        "hovers_percent": round(-100 * float(np.median(np.concatenate(below))), 2),
        "size_off_percent": round(100 * float(np.median(np.abs(tall[1] / tall[0] - 1))), 2),
    }


def sole_px(performance: Performance, camera: CameraPath, side: str) -> Float[np.ndarray, "time 2"]:
    """The middle of a sole in the picture."""
    points = sole_points(performance.character, performance.motion, side)
    assert points is not None, f"{performance.character.name} has no {side} foot"
    return project(camera.K, transform(camera.T_camera_world, points[:2].mean(0)[:, None]))[:, 0]


def joints_px(performance: Performance, camera: CameraPath) -> Float[np.ndarray, "time joint 2"]:
    """The joints in the picture."""
    return project(camera.K, transform(camera.T_camera_world, performance.joints_m()))


def of_camera(rows: Sequence[dict], fitter: str) -> dict:
    """Of all shots and rigs with one camera: the median, and the worst shot's."""
    own = [row for row in rows if row["camera"] == fitter]
    off = [row["contact_off_percent"] for row in own]
    return {
        "camera": fitter,
        "contact_off_median_percent": round(float(np.median(off)), 2),
        "contact_off_worst_percent": max(off),
        "size_off_median_percent": round(float(np.median([row["size_off_percent"] for row in own])), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
