"""What a least-squares problem is solved for: blocks of unknowns with names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Step", "Unknowns"]

Step = Mapping[str, Float[np.ndarray, "..."]]
"""How every block changes: "frame size" where it is per frame, "size" where it is shared (zeros where it is held),
"item size" where it is eliminated."""


@dataclass(frozen=True)
class Unknowns:
    """Blocks by name, each with its size; one name stands in one group only.

    The residuals of a problem name the blocks they touch. Where a block stands here decides whether each frame has its
    own (the band of the normal matrix), all frames share one (its border), or it does not change.
    """

    frames: int
    per_frame: Mapping[str, int]
    shared: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    """Known: residuals may name them, they stay as they are."""
    eliminated: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Number of items and size of each: blocks that no residual couples with one another, such as points."""
    anchored: tuple[str, ...] = ()
    """Blocks per frame that stay in the first frame: the freedom of the whole to move (gauge) is taken from them."""

    def __post_init__(self) -> None:
        names = [*self.per_frame, *self.shared, *self.held, *self.eliminated]
        twice = {name for name in names if names.count(name) > 1}
        if twice or not set(self.anchored) <= set(self.per_frame):
            raise ValueError(f"blocks of unknowns stand in two groups, or are anchored and not per frame: {names}")

    def named(self, names: Iterable[str], group: Mapping[str, object]) -> list[str]:
        """Those of `names` that stand in a group, in its order. Raises KeyError for a name of no group."""
        names = set(names)
        known = self.per_frame.keys() | self.shared.keys() | self.held.keys() | self.eliminated.keys()
        if names - known:
            raise KeyError(f"residuals touch unknowns {sorted(names - known)} of {sorted(known)}")
        return [name for name in group if name in names]


def columns(group: Mapping[str, int], names: Iterable[str]) -> Int[np.ndarray, " column"]:
    """The columns of some blocks of a group, in the order of `names`."""
    starts = dict(zip(group, np.cumsum([0, *group.values()]), strict=False))
    return np.concatenate([np.arange(0)] + [np.arange(starts[name], starts[name] + group[name]) for name in names])
