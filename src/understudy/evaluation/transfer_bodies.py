"""What the transfer tables are measured on besides the actor: bodies of other sizes, and motions that are shaken."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from understudy.body.model import BodyModel
from understudy.characters.rig.character import scaled
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import continuous, quaternion_from_vector, quaternion_multiply
from understudy.render.posing import Poser

__all__ = ["new_body", "perturbed"]

MODEL_HEIGHTS_M = (0.9, 2.1)
"""What the body model knows; beyond, bodies are scaled."""
ARMS_DOWN_RAD = 0.8
"""Of the rest pose of new bodies, from a T: characters are made in such a pose."""
NOISE_FRAMES = 2.0
"""Standard deviation, in frames, of how long a perturbation lasts."""
LIMB_M = 0.3
"""A joint is turned by as much as moves the end of such a limb by the perturbation."""


def new_body(height_m: float) -> Character:
    """A person of a height, grown-up or child, in an A-pose: its proportions and its rest pose are not the actor's."""
    model = BodyModel.load()
    likely = float(np.clip(height_m, *MODEL_HEIGHTS_M))
    character = model.character(model.shape_for_height(likely), f"body of {height_m:.2f} m")
    return scaled(_in_a_pose(character), height_m)


def _in_a_pose(character: Character) -> Character:
    """The character with its arms down as its rest pose; joints keep the world's axes."""
    skeleton = character.skeleton
    q = np.tile([1.0, 0.0, 0.0, 0.0], (1, len(skeleton), 1))
    for side, sign in (("Left", -1.0), ("Right", 1.0)):
        q[0, BODY_JOINTS.index(f"{side}Arm")] = quaternion_from_vector(np.array([0.0, 0.0, sign * ARMS_DOWN_RAD]))
    root = skeleton.T_parent_joint[0, :3, 3]
    posed = Poser(character)(Performance(character, Motion(skeleton, q, root[None], Fraction(1))), 0)
    offsets = skeleton.T_parent_joint[:, :3, 3]
    joints = forward_kinematics(skeleton.parents, offsets, q[0], root)[:, :3, 3]
    parents = np.array(skeleton.parents)
    T_parent_joint, T_joint_mesh = np.tile(np.eye(4), (2, len(skeleton), 1, 1))
    T_parent_joint[:, :3, 3] = np.where((parents < 0)[:, None], joints, joints - joints[parents])
    T_joint_mesh[:, :3, 3] = -joints
    return replace(
        character,
        mesh=replace(character.mesh, vertices=posed.vertices, normals=posed.normals),
        skeleton=Skeleton(skeleton.names, skeleton.parents, T_parent_joint),
        T_joint_mesh=T_joint_mesh,
    )


def perturbed(performance: Performance, noise_mm: float, seed: int) -> Motion:
    """A motion whose joints are shaken: the root is moved, and every joint turned, by smooth noise of so many mm."""
    motion = performance.motion
    rng = np.random.default_rng([seed, 17])

    def noise(*shape: int) -> Float[np.ndarray, "..."]:
        smooth = gaussian_filter1d(rng.normal(size=(len(motion), *shape)), NOISE_FRAMES, axis=0, mode="nearest")
        return smooth / np.sqrt((smooth**2).mean()) * noise_mm / 1000

    turns = quaternion_from_vector(noise(len(motion.skeleton), 3) / LIMB_M / np.sqrt(3))
    return replace(
        motion,
        q_parent_joint=continuous(quaternion_multiply(motion.q_parent_joint, turns)),
        root_position_m=motion.root_position_m + noise(3) / np.sqrt(3),
    )
