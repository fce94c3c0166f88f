"""How deep a person's body is along its bones, for the width that a picture shows of it."""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from understudy.body.model import SEGMENTS, BodyModel
from understudy.core.motion import BODY_JOINTS

__all__ = ["Profile", "body_hand", "body_profiles"]

ADULT_M = 1.7
"""The height of the person whose profile is taken."""
SLABS = 12
"""A part is measured in so many slices between its ends."""
MIN_VERTICES = 12
"""Of a slice that is measured; sparser ones are interpolated."""


@dataclass(frozen=True)
class Profile:
    """A part's depth along its bone, each in the half width that the part has there."""

    share: Float[np.ndarray, " slab"]
    """Places along the bone: 0 at its root, 1 at its tip."""
    front: Float[np.ndarray, " slab"]
    """How far the surface lies before the bone."""
    back: Float[np.ndarray, " slab"]
    """How far it lies behind the bone."""

    def at(self, share: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Front and back at these places; beyond the ends as at the ends."""
        return np.interp(share, self.share, self.front), np.interp(share, self.share, self.back)


PARTS_MEASURED: dict[str, tuple[tuple[str, ...], tuple[str, str], tuple[float, float]]] = {
    "torso": (("hips", "torso", "neck"), ("Hips", "Neck"), (-0.15, 1.0)),
    "thigh": (("left_thigh", "hips"), ("LeftUpLeg", "LeftLeg"), (-0.1, 1.0)),
    "shin": (("left_shin",), ("LeftLeg", "LeftFoot"), (0.0, 0.9)),
}
"""Each part's segments of the body's surface, its bone, and the range along it that is measured."""


@cache
def body_profiles() -> dict[str, Profile]:
    """Of torso, thigh and shin, measured on the mean adult body in its T-pose."""
    model = BodyModel.load()
    body = model.shaped(model.shape_for_height(ADULT_M))
    segment = np.array(SEGMENTS)[model.vertex_segment]
    profiles = {}
    for part, (segments, (root, tip), (low, high)) in PARTS_MEASURED.items():
        start = body.joints[BODY_JOINTS.index(root)]
        end = body.joints[BODY_JOINTS.index(tip)]
        own = np.isin(segment, segments)
        if part in ("thigh", "shin"):
            own &= body.vertices[:, 0] > 0  # of the hips, the side above this leg
        profiles[part] = _measured(body.vertices[own], start, end, low, high)
    return profiles


@cache
def body_hand() -> tuple[Float[np.ndarray, " slab"], Float[np.ndarray, " slab"]]:
    """Places along an open hand, 0 at the wrist and 1 at the fingertips, and how stout it is there, in its lengths:
    the root of half its width squared and half its thickness squared, which is the same whichever way it is turned."""
    model = BodyModel.load()
    body = model.shaped(model.shape_for_height(ADULT_M))
    hand = body.vertices[np.array(SEGMENTS)[model.vertex_segment] == "left_hand"]
    wrist = body.joints[BODY_JOINTS.index("LeftHand")]
    length = hand[:, 0].max() - wrist[0]
    share = (hand[:, 0] - wrist[0]) / length
    edges = np.linspace(0, 1, SLABS + 1)
    extent = [np.ptp(hand[(share >= a) & (share <= b), 1:], axis=0) for a, b in itertools.pairwise(edges)]
    return 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.linalg.norm(extent, axis=1) / length


def _measured(
    vertices: Float[np.ndarray, "vertex 3"],
    start: Float[np.ndarray, "3"],
    end: Float[np.ndarray, "3"],
    low: float,
    high: float,
) -> Profile:
    """Slices across a bone that stands upright in the frontal plane."""
    share = (vertices[:, 1] - start[1]) / (end[1] - start[1])
    edges = np.linspace(low, high, SLABS + 1)
    rows = []
    for a, b in itertools.pairwise(edges):
        own = vertices[(share >= a) & (share < b)]
        if len(own) < MIN_VERTICES:
            continue
        middle = 0.5 * (a + b)
        bone_z = start[2] + middle * (end[2] - start[2])
        half_width = 0.5 * np.ptp(own[:, 0])
        rows.append((middle, (own[:, 2].max() - bone_z) / half_width, (bone_z - own[:, 2].min()) / half_width))
    return Profile(*np.array(rows).T)
