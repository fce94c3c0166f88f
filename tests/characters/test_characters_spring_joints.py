"""Chains of joints for loose parts: at rest nothing changes, and what swings neither follows limbs nor tears off."""

from dataclasses import replace

import numpy as np
import pytest
from box_person import box_person

from understudy.characters.spring_joints import LOOSE, with_spring_joints
from understudy.core.character import Character, Mesh
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.skinning import skin_vertices

RINGS, AROUND = 12, 24


def cone(top: tuple[float, float, float], bottom: float, radii: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of an open cone of cloth round a vertical axis."""
    level = np.linspace(0, 1, RINGS)[:, None]
    turn = np.linspace(0, 2 * np.pi, AROUND, endpoint=False)
    radius = radii[0] + level * (radii[1] - radii[0])
    height = top[1] + level * (bottom - top[1]) + 0 * turn
    points = np.stack([top[0] + radius * np.sin(turn), height, top[2] + radius * np.cos(turn)], -1)
    a = (np.arange(RINGS - 1)[:, None] * AROUND + np.arange(AROUND)).ravel()
    b = (np.arange(RINGS - 1)[:, None] * AROUND + (np.arange(AROUND) + 1) % AROUND).ravel()
    faces = np.concatenate([np.stack([a, b, a + AROUND], 1), np.stack([b, b + AROUND, a + AROUND], 1)])
    return points.reshape(-1, 3), faces


def dressed(name: str) -> tuple[Character, np.ndarray]:
    """A person of boxes with a skirt, or a lock of hair on the head's back; and what is loose of all vertices."""
    person = box_person()
    rest = rest_pose(person.skeleton.parents, person.skeleton.T_parent_joint)[:, :3, 3]
    hips, head = person.roles["Hips"], person.roles["Head"]
    if name == "skirt":
        vertices, faces = cone((0.0, rest[hips, 1], 0.0), rest[person.roles["LeftLeg"], 1], (0.16, 0.3))
    else:
        vertices, faces = cone((0.0, rest[head, 1], -0.14), rest[head, 1] - 0.4, (0.03, 0.04))
    old = person.mesh
    mesh = Mesh(
        np.concatenate([old.vertices, vertices]), np.concatenate([old.faces, faces + len(old.vertices)]),
        np.concatenate([old.normals, np.tile([0.0, 0.0, 1.0], (len(vertices), 1))]),
        np.concatenate([old.uv, np.zeros((len(vertices), 2))]),
        np.concatenate([old.face_material, np.zeros(len(faces), int)]), old.materials,
    )  # fmt: skip
    on = person.roles["RightUpLeg"] if name == "skirt" else head
    skin = np.concatenate([person.skin_joints, np.full((len(vertices), person.skin_joints.shape[1]), on)])
    weights = np.zeros((len(vertices), person.skin_weights.shape[1]))
    weights[:, 0] = 1.0
    loose = np.repeat([0, LOOSE.index(name)], [len(old.vertices), len(vertices)])
    character = Character(
        person.name, mesh, person.skeleton, person.T_joint_mesh, skin, np.concatenate([person.skin_weights, weights]),
        person.roles,
    )  # fmt: skip
    return character, loose


@pytest.mark.parametrize(("name", "chains"), [("hair", 1), ("skirt", 8)])
def test_the_rest_pose_stays_and_the_loose_part_hangs_on_its_chains(name, chains):
    before, loose = dressed(name)
    after = with_spring_joints(before, loose)
    assert len(after.springs) == chains and all(chain.balanced for chain in after.springs)
    assert after.skeleton.names[: len(before.skeleton)] == before.skeleton.names
    T = rest_pose(after.skeleton.parents, after.skeleton.T_parent_joint) @ after.T_joint_mesh
    at_rest = skin_vertices(after.mesh.vertices, T, after.skin_joints, after.skin_weights)
    assert np.abs(at_rest - before.mesh.vertices).max() < 1e-6
    new = after.skin_joints >= len(before.skeleton)
    swings = np.where(new, after.skin_weights, 0.0).sum(1)
    assert not swings[loose == 0].any()  # The body is as it was.
    heights = before.mesh.vertices[:, 1]
    low = (loose > 0) & (heights < heights[loose > 0].min() + 0.5 * np.ptp(heights[loose > 0]))
    assert swings[low].min() > 0.99  # And the hem follows no leg.


def test_at_rest_no_collider_reaches_a_bone():
    character = with_spring_joints(*dressed("skirt"))
    T = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)
    for chain in character.springs:
        assert len(chain.colliders) == 4
        for bone in chain.bones:
            tail = T[bone.joint, :3, :3] @ bone.tail + T[bone.joint, :3, 3]
            for one in chain.colliders:
                a, b = (T[one.joint, :3, :3] @ end + T[one.joint, :3, 3] for end in (one.start, one.end))
                share = np.clip((tail - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                assert np.linalg.norm(tail - a - share * (b - a)) > one.radius_m


def test_a_tight_skirt_follows_no_leg_either():
    character, loose = dressed("skirt")
    vertices = character.mesh.vertices.copy()
    cloth = vertices[loose > 0]
    cloth[:, [0, 2]] *= 0.16 / np.linalg.norm(cloth[:, [0, 2]], axis=1, keepdims=True)
    vertices[loose > 0] = cloth
    tight = replace(character, mesh=replace(character.mesh, vertices=vertices))
    after = with_spring_joints(tight, loose)
    assert len(after.springs) == 8
    assert not following(after, "RightUpLeg")[loose > 0].any()


def following(character: Character, *roles: str) -> np.ndarray:
    """How much some joints move each vertex."""
    joints = [character.roles[role] for role in roles]
    return np.where(np.isin(character.skin_joints, joints), character.skin_weights, 0.0).sum(1)


def test_what_hangs_beside_a_limb_hangs_on_the_trunk_and_leaves_the_limb_by_degrees():
    """A tongue of cloth that grows out of the chest, with the weights of the arm beside it."""
    person, ledge = box_person(), 20
    rest = rest_pose(person.skeleton.parents, person.skeleton.T_parent_joint)[:, :3, 3]
    chest, arm = person.roles["Spine2"], person.roles["LeftArm"]
    across = np.linspace(0, 0.4, ledge)[:, None]
    up = np.array([0.0, 0.05, 0.1])
    grid = np.stack(np.broadcast_arrays(rest[chest, 0] + across, rest[chest, 1] + up, 0.2), -1).reshape(-1, 3)
    a = (np.arange(ledge - 1)[:, None] * 3 + np.arange(2)).ravel()
    faces = np.concatenate([np.stack([a, a + 3, a + 1], 1), np.stack([a + 1, a + 3, a + 4], 1)])
    joints, weights = np.zeros((len(grid), 4), int), np.zeros((len(grid), 4))
    joints[:, 0], joints[:, 1], weights[:, 0] = arm, chest, 1.0
    weights[:3] = [0.0, 1.0, 0.0, 0.0]
    mesh = Mesh(grid, faces, np.tile([0.0, 0.0, 1.0], (len(grid), 1)), np.zeros((len(grid), 2)),
                np.zeros(len(faces), int), person.mesh.materials[:1])  # fmt: skip
    character = replace(person, mesh=mesh, skin_joints=joints, skin_weights=weights)
    loose = np.where(np.arange(len(grid)) < 3, 0, LOOSE.index("beside"))
    after = with_spring_joints(character, loose)
    assert after.skeleton.parents[after.springs[0].bones[0].joint] == chest
    of_arm = following(after, "LeftArm").reshape(ledge, 3)[:, 1]
    assert of_arm[4:].max() < 1e-9
    assert np.allclose(following(character, "Spine2")[:3], following(after, "Spine2")[:3])


def test_without_loose_parts_nothing_is_added():
    person = box_person()
    assert with_spring_joints(person, np.zeros(len(person.mesh.vertices), int)) is person
