"""A character in motion, as turns of its joints since the rest pose; joints without a role follow their parent."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.retarget.rest import Body

__all__ = ["CharacterPose"]


@dataclass(frozen=True)
class CharacterPose:
    """Turns and places of all joints over time."""

    body: Body
    turns: dict[str, Float[np.ndarray, "time 3 3"]]
    """Of the roles: rotation in the world since the rest pose."""
    D: Float[np.ndarray, "time joint 3 3"]
    """The same of all joints."""
    p: Float[np.ndarray, "time joint 3"]
    """World positions in metres."""

    @staticmethod
    def build(
        body: Body, turns: Mapping[str, Float[np.ndarray, "time 3 3"]], hips_m: Float[np.ndarray, "time 3"]
    ) -> "CharacterPose":
        """A pose from the turns of its roles and the path of its hips."""
        turns = dict(turns)
        by_joint = {body.roles[role]: turn for role, turn in turns.items()}
        D = np.empty((len(hips_m), len(body.parents), 3, 3))
        for joint, parent in enumerate(body.parents):
            # Above the hips there is nothing that an actor moves: those joints go along with the hips.
            follows = D[:, parent] if parent >= 0 else turns["Hips"]
            D[:, joint] = by_joint.get(joint, follows)
        p = np.empty((len(hips_m), len(body.parents), 3))
        for joint, parent in enumerate(body.parents):
            if parent >= 0:
                p[:, joint] = p[:, parent] + D[:, parent] @ (body.positions[joint] - body.positions[parent])
            else:
                p[:, joint] = D[:, joint] @ (body.positions[joint] - body.at("Hips"))
        return CharacterPose(body, turns, D, p + (hips_m - p[:, body.roles["Hips"]])[:, None])

    def changed(
        self, turns: Mapping[str, Float[np.ndarray, "time 3 3"]], hips_m: Float[np.ndarray, "time 3"]
    ) -> "CharacterPose":
        """The pose with some roles turned otherwise and the hips elsewhere."""
        return CharacterPose.build(self.body, {**self.turns, **turns}, hips_m)

    def at(self, role: str) -> Float[np.ndarray, "time 3"]:
        """World positions of a role's joint."""
        return self.p[:, self.body.roles[role]]

    def carried(self, role: str, point: Float[np.ndarray, "3"]) -> Float[np.ndarray, "time 3"]:
        """Where a point of the rest pose is, that is fixed to a role's joint."""
        return self.at(role) + self.turns[role] @ (point - self.body.at(role))
