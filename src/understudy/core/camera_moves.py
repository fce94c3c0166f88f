"""The names of camera moves, as operators use them, with the unit and the direction of their amounts: one list for
all that is filmed."""

from typing import Literal, get_args

__all__ = ["MOVE_UNITS", "SCENE_MOVES", "CameraMoveName", "MoveUnit"]

CameraMoveName = Literal[
    "static", "pan", "tilt", "roll", "push_in", "pull_out", "truck", "pedestal", "crane", "follow", "arc", "zoom",
    "dolly_zoom", "handheld", "dolly", "arc_up",
]  # fmt: skip
"""Pan and tilt turn the camera in its place, roll about its line of sight. A dolly moves along the line of sight
(push_in and pull_out are its two directions), a truck sideways, a pedestal up; a crane goes up and keeps looking at its
target, an arc goes round it, arc_up over it. Follow goes along with it. A dolly_zoom keeps the target's size."""
MoveUnit = Literal["none", "radians", "metres", "octaves"]
"""Of an amount; an octave of zoom doubles the focal length."""
MOVE_UNITS: dict[CameraMoveName, MoveUnit] = {
    **dict.fromkeys(get_args(CameraMoveName), "metres"),
    **dict.fromkeys(("pan", "tilt", "roll", "arc", "arc_up"), "radians"),
    "static": "none", "follow": "none", "zoom": "octaves",
}  # fmt: skip
"""Positive: pan, arc and truck to the right, tilt, pedestal, crane and arc_up up, dolly and zoom in."""
SCENE_MOVES: tuple[CameraMoveName, ...] = ("static", "pan", "tilt", "arc", "arc_up", "dolly", "truck", "pedestal")
"""Those that video models film in a given set, in the order of their numbers."""
