"""The sample that comes with the program: a shot with an actor, and a picture of a character to put in their place.

`python -m understudy.synthetic.films.sample` makes both anew, beside this file.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.body.model import BodyModel
from understudy.core.camera import CameraPath
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at, quaternion_from_vector
from understudy.imaging.colour import srgb_from_linear
from understudy.io.pictures.files import write_png
from understudy.io.temporary import whole_file
from understudy.io.video.encoding import film_frame, open_output
from understudy.render.backends.opengl import OpenGL
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticScene, SyntheticShotConfig, expose, set_up
from understudy.synthetic.films.sound import SAMPLE_RATE_HZ, soundtrack
from understudy.synthetic.people.motions import Action
from understudy.synthetic.people.people import Outfit, dressed

__all__ = ["SAMPLE_SHOT", "draw_character", "film_sample"]

SAMPLE_SHOT = SyntheticShotConfig(
    width=960,
    height=540,
    frames=108,
    frame_rate=Fraction(24),
    scenery="courtyard",
    action=Action("walk_and_wave", (-1.35, -1.05), 1.02, speed_m_s=0.9, turn_rad=-0.5, wave_at_s=1.4),
    camera=CameraMove("arc", 5.2, height_m=1.35, azimuth_rad=0.05, amount=0.62, follow=0.6, focal_px=1060.0),
    shape=(-0.75, -0.5, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    outfit=Outfit(
        top=(0.80, 0.56, 0.16), trousers=(0.19, 0.24, 0.38), shoes=(0.86, 0.85, 0.82), long_sleeves=True,
        hair=(0.20, 0.12, 0.08), hair_m=0.026, quiff_m=0.01,
    ),
    seed=5,
)  # fmt: skip

HERO = Outfit(
    skin=(0.90, 0.70, 0.58), hair=(0.62, 0.27, 0.10), eyes=(0.24, 0.48, 0.38), top=(0.62, 0.13, 0.12),
    second=(0.95, 0.92, 0.85), trousers=(0.22, 0.25, 0.34), shoes=(0.36, 0.21, 0.12), style="jacket", boots=True,
    hair_m=0.030, quiff_m=0.040, gloves=(0.40, 0.24, 0.13), scarf=(0.93, 0.71, 0.22),
    head_scale=1.30, wide_eyes_m=0.003,
)  # fmt: skip
HERO_SHAPE = (-0.6, -1.1, -0.3, 0.0, -1.0, 0.8, 0.0, 0.0, -1.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
PICTURE_WIDTH, PICTURE_HEIGHT = 640, 768


def film_sample(path: Path, config: SyntheticShotConfig = SAMPLE_SHOT) -> SyntheticScene:
    """Film the sample shot with its sound, small enough to be carried along; gives the truth."""
    scene = set_up(config)
    rate = config.frame_rate
    with whole_file(path) as temporary, open_output(temporary) as container:
        options = {"crf": "22", "preset": "slow", "tune": "film"}
        video = container.add_stream("libx264", rate=rate, options=options)
        video.width, video.height, video.pix_fmt = config.width, config.height, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        audio.bit_rate = 64_000
        for number, exposure in enumerate(expose(scene, config)):
            picture = film_frame(exposure.picture, config.width, config.height, "film")
            picture.pts, picture.time_base = number, 1 / rate
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        sound = soundtrack(scene.ground_contact, float(rate), config.seed).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return scene


def draw_character() -> UInt8[np.ndarray, "height width 4"]:
    """Our hero from the front, arms a little away from the body, on nothing."""
    model = BodyModel.load()
    character = dressed(model, np.array(HERO_SHAPE), HERO, seed=3)
    q = np.zeros((1, len(BODY_JOINTS), 4))
    q[..., 0] = 1.0
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        for part, turn in (
            ("Arm", (0.0, 0.0, -sign * 0.95)), ("ForeArm", (0.0, -sign * 0.22, 0.0)),
            ("UpLeg", (0.0, 0.0, sign * 0.09)), ("Foot", (0.0, sign * 0.20, -sign * 0.09)),
        ):  # fmt: skip
            q[0, BODY_JOINTS.index(side + part)] = quaternion_from_vector(np.array(turn))
    hips = character.skeleton.T_parent_joint[:1, :3, 3]
    motion = Motion(character.skeleton, q, hips, Fraction(24))
    # From far away, so that nothing is distorted; drawn large and made smaller for clean edges.
    large, height_m = 2, character.height_m
    size = (PICTURE_WIDTH * large, PICTURE_HEIGHT * large)
    distance_m, focal_px = 9.0, 0.93 * PICTURE_HEIGHT * large / height_m * 9.0
    T = look_at(np.array([0.0, 0.62 * height_m, distance_m]), np.array([0.0, 0.495 * height_m, 0.0]))
    camera = CameraPath(T[None], intrinsics(focal_px, *size)[None], *size, Fraction(24))
    to_key = np.array([-0.55, 0.75, 1.0])
    light = Light(
        to_key / np.linalg.norm(to_key), np.array([0.80, 0.76, 0.70]), np.array([0.42, 0.45, 0.52]),
        np.array([0.30, 0.26, 0.23]), np.radians(8.0),
    )  # fmt: skip
    with OpenGL(shadow_map_px=2048, ground_shadow=False).build() as renderer:
        passes = renderer(Take((Performance(character, motion),), camera, light), 0)
    premultiplied = np.dstack([passes.colour, passes.alpha])
    small = cv2.resize(premultiplied, (PICTURE_WIDTH, PICTURE_HEIGHT), interpolation=cv2.INTER_AREA)
    return _straight_srgb(small)


def _straight_srgb(premultiplied: Float[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width 4"]:
    alpha = premultiplied[..., 3:]
    light = np.clip(premultiplied[..., :3] / np.maximum(alpha, 1e-4), 0, 1)
    coded = srgb_from_linear(light)
    return (np.concatenate([coded * (alpha > 0), alpha], 2) * 255 + 0.5).astype(np.uint8)


def main() -> None:
    """Write `sample_shot.mp4` and `sample_character.png`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / "sample_character.png", draw_character())
    film_sample(folder / "sample_shot.mp4")


if __name__ == "__main__":
    main()
