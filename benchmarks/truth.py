"""Take synthetic shots apart and compare with what is known of them: camera branch, path, and the body.

    python benchmarks/truth.py [--out build/truth] [--frames 72]

The fit knows nothing of the generator's body, motion or set. Writes `results/truth.json`.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
from record import save, table

from understudy.core.film import Performance
from understudy.decompose.body import fit_actor
from understudy.decompose.camera import solve_camera
from understudy.decompose.people import find_people
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rigid import invert, transform
from understudy.io.video import open_shot
from understudy.metrics.camera import relative_trajectory_error, rotation_error_deg
from understudy.metrics.motion import foot_sliding_mm, jitter, mpjpe_mm, pa_mpjpe_mm, w_mpjpe_mm
from understudy.synthetic.camera_moves import CameraMove
from understudy.synthetic.motions import Action
from understudy.synthetic.shots import SyntheticShotConfig, film_synthetic_shot

MOVES = {
    "static": "static", "pan": "rotation", "tilt": "rotation",
    "push_in": "parallax", "truck": "parallax", "arc": "parallax",
}  # fmt: skip
"""Each camera move, and the branch that is right for it."""
ACTIONS = ("walk", "wave", "turn")
TOES = [17, 21]


def main() -> None:
    """Run all moves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/truth"))
    parser.add_argument("--frames", type=int, default=72)
    options = parser.parse_args()
    rows = []
    for seed, name in enumerate(MOVES):
        rows.append(measure(name, seed, options.frames, options.out / name))
        print(table(rows[-1:]), flush=True)
    print(table(rows))
    print(save("truth", {"moves": rows}))


def measure(name: str, seed: int, frames: int, out: Path) -> dict:
    """Film one move, take it apart, compare."""
    action = Action(ACTIONS[seed % len(ACTIONS)])
    config = SyntheticShotConfig(
        width=960, height=540, frames=frames, frame_rate=Fraction(24), camera=CameraMove(name), action=action, seed=seed
    )
    truth = film_synthetic_shot(config, out)
    shot = open_shot(truth.path)
    people = find_people(shot, out / "people")
    solution = solve_camera(shot, people.masks)
    fit = fit_actor(people.tracks[0], solution, mask=people.masks[0])
    scene = truth.scene
    body = Performance(fit.body, fit.motion)
    predicted, true = world_joints(body), world_joints(scene.person)
    in_camera = [
        transform(invert(camera.T_world_camera), joints)
        for camera, joints in ((fit.camera, predicted), (scene.camera, true))
    ]
    contact = scene.ground_contact
    return {
        "move": name,
        "action": action.kind,
        "branch": solution.move,
        "branch_right": solution.move == MOVES[name],
        "seen": round(float(people.tracks[0].seen.mean()), 3),
        "rotation_deg": round(
            float(rotation_error_deg(fit.camera.T_world_camera, scene.camera.T_world_camera).mean()), 4
        ),
        "path_percent": round(
            100 * relative_trajectory_error(fit.camera.T_world_camera, scene.camera.T_world_camera), 3
        ),
        "mpjpe_mm": round(float(mpjpe_mm(*in_camera).mean()), 1),
        "pa_mpjpe_mm": round(float(pa_mpjpe_mm(*in_camera).mean()), 1),
        "w_mpjpe_mm": round(float(w_mpjpe_mm(predicted, true).mean()), 1),
        "slide_mm": round(float(foot_sliding_mm(predicted[:, TOES], contact[1:] & contact[:-1]).mean()), 2),
        "jitter": round(float(jitter(predicted, 24.0).mean()), 2),
        "true_jitter": round(float(jitter(true, 24.0).mean()), 2),
    }


def world_joints(performance: Performance) -> np.ndarray:
    """The 22 body joints over time, in the world."""
    motion = performance.motion
    offsets = motion.skeleton.T_parent_joint[:, :3, 3]
    T = forward_kinematics(motion.skeleton.parents, offsets, motion.q_parent_joint, motion.root_position_m)
    return T[..., :3, 3]


if __name__ == "__main__":
    main()
