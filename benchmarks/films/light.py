"""The light of a set found in a shot, against the light that the set was filmed in.

    python -m benchmarks.films.light [--only back stage …]

Sixteen shots of our sets in lights from the front, the side and behind, at noon and at dusk, overcast and on a stage;
the last six were not looked at while constants were chosen. The estimate gets what a recast has: the pictures, a clean
plate, a matte, the fitted body; here all of them are true, so that only the light is measured. What is compared: where
the key light is, its colour, and how much light the actor's visible side gets, in the mean over its surface (level and
tint apart). Writes `results/light.json` when all are measured.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from benchmarks.record import save, table
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.imaging.colour import LUMA
from understudy.refine.light import LightSample, estimate_light
from understudy.render.backends.opengl import OpenGL
from understudy.render.renderers import FLAT_LIGHT, for_silhouettes
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.sets import SetKind
from understudy.synthetic.films.shots import SyntheticShotConfig, expose, set_up
from understudy.synthetic.people.motions import Action

Colour = tuple[float, float, float]
FRAMES, EVERY = 40, 5


@dataclass(frozen=True)
class Case:
    """A set in a light; azimuth 0 is towards the camera, 90 to its right, 180 behind the actor."""

    scenery: SetKind
    azimuth_deg: float
    elevation_deg: float
    key: Colour
    sky: Colour
    ground: Colour
    radius_deg: float
    """Of the key light, seen from the actor."""
    seed: int
    held_out: bool = False

    @property
    def light(self) -> Light:
        """The light itself."""
        azimuth, elevation = np.radians([self.azimuth_deg, self.elevation_deg])
        flat = np.cos(elevation)
        direction = np.array([np.sin(azimuth) * flat, np.sin(elevation), np.cos(azimuth) * flat])
        colours = (np.array(colour) for colour in (self.key, self.sky, self.ground))
        return Light(direction, *colours, float(np.radians(self.radius_deg)))


CASES = {
    "yard": Case("courtyard", -47, 55, (1.22, 1.06, 0.83), (0.36, 0.42, 0.52), (0.20, 0.17, 0.14), 1.5, 1),
    "room": Case("room", -32, 53, (0.80, 0.74, 0.66), (0.40, 0.40, 0.42), (0.22, 0.19, 0.16), 5, 2),
    "noon": Case("courtyard", 30, 65, (1.5, 1.4, 1.25), (0.25, 0.30, 0.38), (0.20, 0.18, 0.15), 1, 3),
    "side": Case("courtyard", -85, 30, (1.3, 1.15, 0.9), (0.20, 0.24, 0.30), (0.15, 0.13, 0.10), 1.5, 4),
    "behind": Case("courtyard", 165, 60, (1.2, 1.05, 0.85), (0.30, 0.34, 0.42), (0.22, 0.19, 0.16), 1.5, 5),
    "dusk": Case("courtyard", -25, 14, (1.0, 0.55, 0.25), (0.14, 0.18, 0.28), (0.07, 0.06, 0.06), 2, 6),
    "overcast": Case("courtyard", 0, 80, (0.05, 0.05, 0.05), (0.70, 0.74, 0.80), (0.30, 0.29, 0.27), 30, 7),
    "stage, from behind": Case("room", 170, 50, (0.8, 0.7, 0.75), (0.10, 0.08, 0.10), (0.05, 0.03, 0.03), 4, 8),
    "stage, from the front": Case("room", 40, 55, (1.0, 0.8, 0.6), (0.04, 0.04, 0.06), (0.03, 0.03, 0.03), 3, 9),
    "window": Case("room", 70, 42, (0.9, 0.9, 1.0), (0.20, 0.20, 0.22), (0.10, 0.09, 0.08), 10, 10),
    "morning": Case("courtyard", 20, 22, (1.1, 0.85, 0.6), (0.25, 0.30, 0.40), (0.15, 0.13, 0.11), 1, 11, True),
    "hazy": Case("courtyard", -60, 50, (0.6, 0.57, 0.52), (0.55, 0.58, 0.62), (0.25, 0.23, 0.2), 10, 12, True),
    "behind, low sky": Case("courtyard", -160, 58, (1.3, 1.1, 0.8), (0.15, 0.18, 0.2), (0.16, 0.14, 0.11), 1, 13, True),
    "lamp": Case("room", -60, 45, (1.0, 0.72, 0.42), (0.15, 0.14, 0.14), (0.10, 0.08, 0.06), 8, 14, True),
    "studio": Case("room", 25, 48, (0.7, 0.7, 0.7), (0.50, 0.50, 0.50), (0.30, 0.29, 0.28), 20, 15, True),
    "night": Case("room", 80, 60, (0.35, 0.40, 0.55), (0.03, 0.04, 0.06), (0.02, 0.02, 0.02), 3, 16, True),
}  # fmt: skip


def main() -> None:
    """Film, look, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    rows = []
    for name in options.only or CASES:
        samples = filmed(CASES[name], CASES[name].light)
        found = estimate_light(samples)
        row = {"shot": name, "held_out": CASES[name].held_out, "found_by": found.found_by}
        rows.append(row | compared(CASES[name].light, found.light, samples))
        print(table(rows[-1:]), flush=True)
    parts = {"all": rows, "held out": [row for row in rows if row["held_out"]]}
    summary = {name: {"shots": len(part)} | medians(part) for name, part in parts.items() if part}
    print(table([{"of": name} | part for name, part in summary.items()]))
    if not options.only:
        print(save("light", {"summary": summary, "shots": rows}))


def filmed(case: Case, light: Light) -> list[LightSample]:
    """Some frames of an actor in the set, as the estimate gets them."""
    config = SyntheticShotConfig(
        width=640, height=360, frames=FRAMES, scenery=case.scenery,
        camera=CameraMove("static" if case.seed % 2 else "pan"),
        action=Action(("walk", "wave", "turn")[case.seed % 3]), seed=case.seed,
    )  # fmt: skip
    scene = replace(set_up(config), light=light)
    body, camera = Performance(scene.body, scene.person.motion), scene.camera
    samples, take = [], Take((body,), camera, FLAT_LIGHT)
    with for_silhouettes(OpenGL()).build() as renderer:
        for frame, shown in enumerate(expose(scene, config)):
            if frame % EVERY == 2:
                samples.append(
                    LightSample(
                        shown.picture, shown.clean_plate, shown.mask, renderer(take, frame).normals, camera.K[frame],
                        camera.T_world_camera[frame], body.motion.root_position_m[frame], scene.body.height_m,
                    )
                )  # fmt: skip
    return samples


def compared(truth: Light, found: Light, samples: Sequence[LightSample]) -> dict[str, float]:
    """How far the found light is off."""
    normals = np.concatenate([sample.normals[::4, ::4].reshape(-1, 3) for sample in samples]).astype(np.float64)
    normals = normals[np.linalg.norm(normals, axis=1) > 0.5]
    theirs, ours = (irradiance(light, normals) for light in (truth, found))
    level = float((ours @ LUMA).mean() / (theirs @ LUMA).mean())
    tints = [mean / (mean @ LUMA) for mean in (theirs.mean(0), ours.mean(0))]
    keys = [light.key_colour / (light.key_colour @ LUMA) for light in (truth, found)]
    cosine = float(np.clip(truth.key_direction @ found.key_direction, -1, 1))
    return {
        "key_off_deg": round(float(np.degrees(np.arccos(cosine))), 1),
        "key_tint_off_percent": round(100 * float(np.abs(keys[1] / keys[0] - 1).max()), 1),
        "irradiance_off_percent": round(100 * float(np.abs(ours - theirs).mean() / theirs.mean()), 1),
        "level": round(level, 2),
        "irradiance_at_right_level_off_percent": round(
            100 * float(np.abs(ours / level - theirs).mean() / theirs.mean()), 1
        ),
        "tint_off_percent": round(100 * float(np.abs(tints[1] / tints[0] - 1).max()), 1),
    }


def irradiance(light: Light, normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """What surfaces that face these ways get, without shadows."""
    upward = 0.5 + 0.5 * normals[:, 1:2]
    fill = upward * light.fill_sky + (1 - upward) * light.fill_ground
    return fill + np.maximum(normals @ light.key_direction, 0)[:, None] * light.key_colour


def medians(rows: Sequence[dict]) -> dict[str, float]:
    """Of all figures."""
    return {
        key: round(float(np.median([row[key] for row in rows])), 2)
        for key, value in rows[0].items()
        if isinstance(value, float)
    }


if __name__ == "__main__":
    sys.exit(main())
