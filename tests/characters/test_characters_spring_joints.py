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


def test_a_tight_skirt_moves_with_the_legs():
    character, loose = dressed("skirt")
    vertices = character.mesh.vertices.copy()
    cloth = vertices[loose > 0]
    cloth[:, [0, 2]] *= 0.16 / np.linalg.norm(cloth[:, [0, 2]], axis=1, keepdims=True)
    vertices[loose > 0] = cloth
    tight = replace(character, mesh=replace(character.mesh, vertices=vertices))
    assert with_spring_joints(tight, loose) is tight


def test_without_loose_parts_nothing_is_added():
    person = box_person()
    assert with_spring_joints(person, np.zeros(len(person.mesh.vertices), int)) is person
