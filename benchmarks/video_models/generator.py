"""How many frames a second our generator makes with all truth, and Blender Cycles from the same scene.

    python -m benchmarks.video_models.generator [--frames 48] [--blender PATH]

Both make, for every frame at 256×144: the picture, the mask, the depth and the picture of the empty set. Ours is the
time of `expose`: of one shot, of as many shots at once as there are cores (a process and a rendering thread each, as
clips for training are made), and with writing the videos; Blender's is that of rendering alone (8 samples, no denoiser,
scene kept in memory between frames, all cores), of the scene exported as GLB. Neither counts start-up and import.
Writes `results/generator.json`.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from benchmarks.record import save, table
from understudy.io.gltf.write import write_scene
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticShotConfig, expose, film_synthetic_shot, set_up
from understudy.synthetic.people.motions import Action

INSIDE_BLENDER = Path(__file__).with_name("generator_blender.py")
SAMPLES = 8
SHOT = SyntheticShotConfig(
    width=256, height=144, camera=CameraMove("arc"), action=Action("walk"), actor="woman", seed=3, shadow_map_px=1024
)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--blender", default=shutil.which("blender"), help="Blender's executable")
    options = parser.parse_args()
    config = replace(SHOT, frames=options.frames)
    with tempfile.TemporaryDirectory() as folder:
        ours = measure_ours(config, Path(folder))
        blender, reason = measure_blender(config, Path(folder), options.blender)
    rows = [{"generator": name, "frames_per_s": rate} for name, rate in ours.items()]
    if blender is not None:
        rows.append({"generator": f"Blender Cycles, {SAMPLES} samples", "frames_per_s": blender["frames_per_s"]})
    print(table(rows))
    print(reason or f"{ours['truth, a shot a core'] / blender['frames_per_s']:.1f} times as fast")
    figures = {"size": [config.width, config.height], "frames": config.frames, "cores": os.cpu_count()}
    print(save("generator", {**figures, "frames_per_s": ours, "blender": blender, "blender_absent": reason}))


def measure_ours(config: SyntheticShotConfig, folder: Path) -> dict[str, float]:
    """Frames per second: all truth as arrays (best of three), all truth and its videos, set-up included."""
    alone = min(seconds_to_expose(config) for _ in range(3))
    start = time.perf_counter()
    film_synthetic_shot(config, folder / "ours")
    filmed = time.perf_counter() - start
    cores = os.cpu_count()
    # Mesa reads how many threads it may start when a process first draws.
    one_thread = {"initializer": os.putenv, "initargs": ("LP_NUM_THREADS", "1")}
    with ProcessPoolExecutor(cores, get_context("spawn"), **one_thread) as pool:
        every = [config] * cores
        list(pool.map(seconds_to_expose, every))  # starts the processes
        together = min(max(pool.map(seconds_to_expose, every)) for _ in range(3))
    return {
        "truth, one shot": config.frames / alone,
        "truth, a shot a core": cores * config.frames / together,
        "set-up, truth and videos": config.frames / filmed,
    }


def seconds_to_expose(config: SyntheticShotConfig) -> float:
    """How long all truth of a shot takes, once it is set up."""
    scene = set_up(config)
    start = time.perf_counter()
    for _ in expose(scene, config):
        pass
    return time.perf_counter() - start


def measure_blender(
    config: SyntheticShotConfig, folder: Path, blender: str | None
) -> tuple[dict[str, float | str] | None, str | None]:
    """What Blender says of its own time, or why there is nothing to say."""
    if blender is None:
        return None, "no Blender on this machine: name its executable with --blender"
    scene, glb, light = set_up(config), folder / "scene.glb", folder / "light.json"
    write_scene(glb, (scene.scenery, scene.person), scene.camera)
    light.write_text(
        json.dumps(
            {
                "key_direction": scene.light.key_direction.tolist(),
                "key_colour": scene.light.key_colour.tolist(),
                "key_angle_rad": scene.light.key_angle_rad,
                "fill": scene.light.fill_sky.tolist(),
            }
        )
    )
    told = [str(value) for value in (glb, light, folder / "blender", config.width, config.height, config.frames)]
    command = [blender, "--background", "--factory-startup", "--python", str(INSIDE_BLENDER), "--", *told, str(SAMPLES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answers = [line for line in done.stdout.splitlines() if line.startswith('{"version"')]
    if done.returncode or not answers:
        return None, f"Blender failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
    return json.loads(answers[-1]), None


if __name__ == "__main__":
    main()
