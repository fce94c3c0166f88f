"""A character that does a motion, from any file that holds one."""

from fractions import Fraction

import numpy as np
import pytest
from box_person import box_person

import understudy
from understudy.core.film import Performance
from understudy.core.motion import Motion
from understudy.io.gltf.read import read_gltf_motion
from understudy.io.gltf.write import write_character, write_scene
from understudy.io.motions.arrays import write_motion_npz
from understudy.io.motions.bvh import write_bvh
from understudy.io.video.streams import open_shot
from understudy.retarget.retarget import RetargetConfig
from understudy.runtime.errors import InputError
from understudy.studio.character.motions import Stretch, motion_of_file
from understudy.studio.film_files import BodyFit, save_fit
from understudy.synthetic.people.motions import Action, act

RATE = Fraction(24)
WANTED = Stretch(0.0, 10.0, RATE)
PLAIN = RetargetConfig(clear_arms=False)


@pytest.fixture(scope="module")
def person() -> understudy.Character:
    return box_person()


@pytest.fixture(scope="module")
def walk(person) -> Motion:
    return act(person.skeleton, Action("walk"), 36, RATE)[0]


def wrists(motion: Motion) -> np.ndarray:
    """Wrists and ankles, from the hips, in the hips' frame at first."""
    p = motion.T_world_joint()[:, :, :3, 3]
    hands = [motion.skeleton.names.index(name) for name in ("LeftHand", "RightHand", "LeftFoot", "RightFoot")]
    return p[:, hands] - p[:, :1]


@pytest.mark.parametrize("kind", ["bvh", "glb", "npz", "film"])
def test_the_same_motion_from_any_file(kind, person, walk, tmp_path):
    path = tmp_path / f"walk.{kind}"
    if kind == "bvh":
        write_bvh(path, walk)
    elif kind == "glb":
        write_scene(path, [Performance(person, walk)], name="walk")
    elif kind == "npz":
        write_motion_npz(path, walk)
    else:
        (path / "actors/1").mkdir(parents=True)
        write_motion_npz(path / "actors/1/motion.npz", walk)
        write_character(path / "actors/1/body.glb", person)
        fit = BodyFit(np.zeros(len(walk)), np.zeros((len(walk), 2), bool), np.eye(4))
        save_fit(path / "actors/1/fit.npz", fit)
    config = RetargetConfig(clear_arms=False, foot_lock="never") if kind == "film" else PLAIN
    done = motion_of_file(path, None, person, WANTED, config)
    assert len(done) == len(walk) and done.frame_rate == RATE
    # Other files than a film's tell no rest pose: it is found again from the motion.
    assert np.abs(wrists(done) - wrists(walk)).max() < (0.001 if kind == "film" else 0.06)


def test_a_part_of_a_motion_at_another_rate(person, walk, tmp_path):
    write_bvh(tmp_path / "walk.bvh", walk)
    done = motion_of_file(tmp_path / "walk.bvh", None, person, Stretch(0.5, 0.5, Fraction(12)), PLAIN)
    assert len(done) == 6 and done.frame_rate == 12
    with pytest.raises(InputError, match=r"1.50 s of motion; .* --start 1.48 s"):
        motion_of_file(tmp_path / "walk.bvh", None, person, Stretch(1.48, 1.0, RATE), PLAIN)


def test_a_film_and_an_animated_file(person, walk, tmp_path):
    (tmp_path / "hero").mkdir()
    write_character(tmp_path / "hero/character.glb", person)
    write_bvh(tmp_path / "walk.bvh", walk)
    small = {"width": 64, "height": 48, "seconds": 0.25}
    understudy.animate(tmp_path / "hero", tmp_path / "out/walk.mp4", tmp_path / "walk.bvh", **small)
    shot = open_shot(tmp_path / "out/walk.mp4")
    assert (len(shot), shot.width, shot.height, shot.frame_rate) == (6, 64, 48, 24)
    for camera in ("follow", "static", "turntable"):
        out = tmp_path / f"{camera}.glb"
        understudy.animate(tmp_path / "hero/character.glb", out, camera=camera, **small)
        assert len(read_gltf_motion(out, frame_rate=RATE)) == 6


@pytest.mark.parametrize(
    ("character", "motion", "out", "words"),
    [
        ("hero", None, "walk.avi", "name an .mp4 file"),
        ("absent", None, "walk.mp4", "there is no file"),
        ("picture.png", None, "walk.mp4", "make one of a picture by `understudy cast`"),
        ("hero", "absent.bvh", "walk.mp4", "there is no file"),
        ("hero", "picture.png", "walk.mp4", "is no motion that can be read"),
        ("hero", "hero", "walk.mp4", "give the folder of a finished film"),
    ],
)
def test_what_cannot_be_animated(character, motion, out, words, person, tmp_path):
    (tmp_path / "hero").mkdir()
    write_character(tmp_path / "hero/character.glb", person)
    (tmp_path / "picture.png").write_bytes(b"picture")
    with pytest.raises(InputError, match=words):
        understudy.animate(tmp_path / character, tmp_path / out, motion and tmp_path / motion)
    assert not (tmp_path / out).exists()
