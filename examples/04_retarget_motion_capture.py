"""Put motion capture on a rig of your own, without any film.

python examples/04_retarget_motion_capture.py walk.bvh knight.glb out/
"""

from fractions import Fraction
from pathlib import Path

import tyro

import understudy


def main(bvh: Path, rig: Path, out: Path, /, performer_height_m: float = 1.75, frame_rate: int = 30) -> None:
    """From a performer in a BVH file, through a body of the performer's height, to a rig (GLB, glTF, VRM)."""
    model = understudy.BodyModel.load()
    performer = model.character(model.shape_for_height(performer_height_m))
    motion = understudy.captured_motion(bvh, performer, Fraction(frame_rate), max_frames=10_000)

    character = understudy.character_from_rig(rig)
    performed = understudy.retarget_motion(motion, performer, character)

    out.mkdir(parents=True, exist_ok=True)
    understudy.write_bvh(out / "motion.bvh", performed)
    understudy.write_scene(out / "scene.glb", (understudy.Performance(character, performed),), None)
    print(f"{len(performed)} frames on {len(character.skeleton)} joints of {character.name}: {out / 'scene.glb'}")


if __name__ == "__main__":
    tyro.cli(main)
