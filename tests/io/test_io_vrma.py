"""Motion without a body: VRM animations, and armatures that were exported alone."""

from fractions import Fraction

import numpy as np
import pytest
from box_person import box_person
from gltf_files import parts_of, write_glb

from understudy.core.film import Performance
from understudy.io.gltf.read import read_gltf_motion
from understudy.io.gltf.write import write_scene
from understudy.retarget.retarget import RetargetConfig
from understudy.runtime.errors import CharacterError
from understudy.studio.character.motions import Stretch, motion_of_file
from understudy.synthetic.people.motions import Action, act

RATE = Fraction(24)
BONES = {
    "Hips": "hips", "Spine": "spine", "Spine1": "chest", "Spine2": "upperChest", "Neck": "neck", "Head": "head",
    "Shoulder": "Shoulder", "Arm": "UpperArm", "ForeArm": "LowerArm", "Hand": "Hand", "UpLeg": "UpperLeg",
    "Leg": "LowerLeg", "Foot": "Foot", "ToeBase": "Toes",
}  # fmt: skip


def vrm_bone(name: str) -> str:
    for side in ("Left", "Right"):
        if name.startswith(side):
            return side.lower() + BONES[name.removeprefix(side)]
    return BONES[name]


def motion_alone(path, person, walk, vrma: bool):
    """A clip without mesh and skin; of a VRM animation, joints have names that say nothing."""
    write_scene(path.with_suffix(".glb"), [Performance(person, walk)], name="walk")
    document, binary = parts_of(path.with_suffix(".glb"))
    for key in ("meshes", "skins", "materials", "textures", "images", "samplers"):
        document.pop(key, None)
    for node in document["nodes"]:
        node.pop("mesh", None)
        node.pop("skin", None)
    if vrma:
        bones = {}
        for index, node in enumerate(document["nodes"]):
            if node.get("name") in person.skeleton.names:
                bones[vrm_bone(node["name"])] = {"node": index}
                node["name"] = f"node.{index}"
        document["extensionsUsed"] = ["VRMC_vrm_animation"]
        document["extensions"] = {"VRMC_vrm_animation": {"specVersion": "1.0", "humanoid": {"humanBones": bones}}}
    return write_glb(path, document, binary)


@pytest.mark.parametrize("vrma", [True, False])
def test_motion_comes_from_a_file_without_a_mesh(vrma, tmp_path):
    person = box_person()
    walk = act(person.skeleton, Action("walk"), 24, RATE)[0]
    path = motion_alone(tmp_path / ("walk.vrma" if vrma else "walk.gltf.glb"), person, walk, vrma)
    motion = read_gltf_motion(path, None, RATE)
    assert len(motion) == len(walk)
    joint = motion.skeleton.names.index("leftLowerArm" if vrma else "LeftForeArm")
    there, truth = motion.T_world_joint()[:, joint], walk.T_world_joint()[:, walk.skeleton.names.index("LeftForeArm")]
    assert np.abs(there - truth).max() < 1e-4
    config = RetargetConfig(clear_arms=False)
    done = motion_of_file(path, None, person, Stretch(0.0, 10.0, RATE), config)
    hands = [person.skeleton.names.index(name) for name in ("LeftHand", "RightFoot")]
    place, wanted = (one.T_world_joint()[:, :, :3, 3] for one in (done, walk))
    assert np.abs((place[:, hands] - place[:, :1]) - (wanted[:, hands] - wanted[:, :1])).max() < 0.06


def test_a_file_that_moves_nothing_is_one_sentence(tmp_path):
    person = box_person()
    path = motion_alone(tmp_path / "walk.vrma", person, act(person.skeleton, Action("walk"), 4, RATE)[0], False)
    document, binary = parts_of(path)
    document["animations"][0]["channels"] = []
    write_glb(path, document, binary)
    with pytest.raises(CharacterError, match=r"walk.vrma moves no joints"):
        read_gltf_motion(path)
