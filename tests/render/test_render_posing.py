"""Each pose of a film played forwards is worked out once, and none is mistaken for another."""

from fractions import Fraction

import numpy as np

from understudy.core.character import Character, Material, Mesh
from understudy.core.film import Performance
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.rotations import quaternion_from_vector
from understudy.render.posing import Poser, neighbours


def test_neighbouring_frames_are_posed_once(monkeypatch):
    triangle = np.eye(3)
    mesh = Mesh(triangle, np.array([[0, 1, 2]]), np.tile([0.0, 0.0, 1.0], (3, 1)), np.zeros((3, 2)), np.zeros(1, int),
                (Material(),))  # fmt: skip
    skeleton = Skeleton(("root",), (-1,), np.eye(4)[None])
    character = Character("test", mesh, skeleton, np.eye(4)[None], np.zeros((3, 1), int), np.ones((3, 1)))
    positions = np.array([[float(t), 0.0, 0.0] for t in range(6)])
    motion = Motion(skeleton, quaternion_from_vector(np.zeros((6, 1, 3))), positions, Fraction(24))
    poser, posed = Poser(character), []
    work = poser._pose
    monkeypatch.setattr(poser, "_pose", lambda pose: posed.append(pose) or work(pose))
    performance, previous = Performance(character, motion), None
    for frame in range(6):
        now = poser(performance, frame)
        before, after = (poser(performance, number) for number in neighbours(frame, 6))
        for mesh, number in ((now, frame), (before, max(frame - 1, 0)), (after, min(frame + 1, 5))):
            assert np.allclose(mesh.vertices - triangle, positions[number])
        assert previous is None or now is previous
        previous = after
    assert len(posed) == 6
