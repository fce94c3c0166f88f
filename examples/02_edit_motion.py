"""Edit what the actor does, and render the film again: only what depends on the motion is made anew.

    python examples/02_edit_motion.py shot.mp4 hero.png film/ --arm-deg 40

`film/` is the folder of 01_recast.py; use the same options here as there.
"""

from dataclasses import replace
from pathlib import Path

import tyro
from scipy.spatial.transform import Rotation

import understudy


def main(shot: Path, character: Path, folder: Path, /, arm_deg: float = 40.0, quality: str = "standard") -> None:
    """Raise the left arm throughout the shot."""
    file = folder / "actors/1/motion.npz"  # motion.bvh beside it is the same, for Blender, Maya and MotionBuilder
    motion = understudy.read_motion_npz(file)
    arm = motion.skeleton.names.index("LeftArm")
    q = motion.q_parent_joint.copy()  # unit quaternions, wxyz: time, joint, 4
    before = Rotation.from_quat(q[:, arm], scalar_first=True)
    # The rest pose is a T-pose facing +Z, the left arm along +X: a turn about +Z raises it.
    q[:, arm] = (Rotation.from_euler("z", arm_deg, degrees=True) * before).as_quat(scalar_first=True)
    understudy.write_motion_npz(file, replace(motion, q_parent_joint=q))

    film = understudy.recast(shot, character, folder, quality=quality)
    print("made anew:", ", ".join(film.executed))
    print("delete", file, "and run again to have the actor's own motion back")


if __name__ == "__main__":
    tyro.cli(main)
