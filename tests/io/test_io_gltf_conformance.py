"""Joint and vertex positions over time, equal to those of three.js on the same files."""

import json
from fractions import Fraction

import numpy as np
import pytest

from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.skinning import skin_vertices
from understudy.io.gltf.animation import find_clip, node_tree, node_world_matrices
from understudy.io.gltf.document import open_gltf
from understudy.io.gltf.merge import character_from_parts
from understudy.io.gltf.read import read_gltf, read_gltf_motion, read_gltf_rig
from understudy.io.gltf.skins import bind_joints


@pytest.fixture(params=["knight", "robot_expressive"])
def reference(request, shared_data):
    folder = shared_data / "conformance" / "gltf"
    facts = json.loads((folder / f"{request.param}.json").read_text())
    return shared_data / "rigs" / facts["file"], facts, np.load(folder / f"{request.param}.npz")


def test_joints_and_vertices_over_time(reference):
    path, facts, expected = reference
    document = open_gltf(path, clips=True)
    tree = node_tree(document)
    world = node_world_matrices(document, tree, find_clip(document, facts["clip"]), np.array(facts["times"]))
    for place, node in enumerate(expected["joint_node"]):
        assert np.abs(world[int(node)] - expected["joint_world"][:, place]).max() < 1e-4

    rest = {node: T[0] for node, T in node_world_matrices(document, tree).items()}
    bound = bind_joints(document, tree, rest)
    rig = read_gltf_rig(path)
    skinned = [part for part in rig.parts if part.skin is not None]
    character = character_from_parts(rig, skinned)
    keys = [key for key in expected if key.startswith("vertices.")]
    nodes = [document.entry("nodes", node) for node in tree.order]
    order = [
        f"vertices.mesh{node.mesh}.prim{number}"
        for node in nodes
        if node.skin is not None
        for number in range(len(document.entry("meshes", node.mesh).primitives))
    ]
    assert sorted(keys) == sorted(order)
    for time in range(len(facts["times"])):
        T = np.stack([world[node][time] for node in bound.joint_of_node]) @ np.linalg.inv(bound.T_model_bound)
        mesh = character.mesh
        vertices = skin_vertices(mesh.vertices, T, character.skin_joints, character.skin_weights)
        assert np.abs(vertices - np.concatenate([expected[key][time] for key in order])).max() < 1e-4


def test_our_motion_of_the_clip(reference):
    """Our nouns hold rotations and the root's path: every joint must be turned as in the clip."""
    path, facts, expected = reference
    character = read_gltf(path)
    rate = Fraction(3000)
    motion = read_gltf_motion(path, facts["clip"], rate)
    frames = np.clip(np.round(np.array(facts["times"]) * float(rate)).astype(int), 0, len(motion) - 1)
    assert motion.skeleton.names == character.skeleton.names
    T = forward_kinematics(
        motion.skeleton.parents,
        motion.skeleton.T_parent_joint[:, :3, 3],
        motion.q_parent_joint[frames],
        motion.root_position_m[frames],
    )
    names = [joint["name"] for joint in facts["joints"]]
    R = expected["joint_world"][:, :, :3, :3]
    R = R / np.linalg.norm(R, axis=-2, keepdims=True)
    for place, name in enumerate(names):
        joint = motion.skeleton.names.index(name)
        assert np.abs(T[:, joint, :3, :3] - R[:, place]).max() < 2e-3
