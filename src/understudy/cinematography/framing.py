"""How far a body is from filling the frame as the actor did."""

import numpy as np
from jaxtyping import Float

from understudy.cinematography.fit_terms import Picture
from understudy.cinematography.protocol import Framing

__all__ = ["measured_framing"]

_WORST = 10.0


def measured_framing(
    picture: Picture, target: Picture, height_px: Float[np.ndarray, " time"], contact: Float[np.ndarray, "time 2"]
) -> Framing:
    """Compare a body's picture with the actor's; `contact` says how surely each of the actor's feet stands."""
    error = np.linalg.norm(picture.points_px - target.points_px, axis=-1) / height_px[:, None]
    error = np.where(picture.points_seen * target.points_seen > 0, np.minimum(error, _WORST), _WORST)
    stands = contact * (contact > 0.5)
    box, actor_box = picture.box_px, target.box_px
    centre = np.linalg.norm((box[:, :2] + box[:, 2:4] - actor_box[:, :2] - actor_box[:, 2:4]) / 2, axis=1) / height_px
    tall, actor_tall = box[:, 3] - box[:, 1], actor_box[:, 3] - actor_box[:, 1]
    seen = picture.outline_seen * target.outline_seen > 0
    return Framing(
        keypoint_error=error[:, :-2].mean(1),
        box_centre_error=np.where(seen, np.minimum(centre, _WORST), _WORST),
        box_height_error=np.where(seen, np.minimum(np.abs(tall / actor_tall - 1), _WORST), _WORST),
        foot_error=(error[:, -2:] * stands).sum(1) / np.maximum(stands.sum(1), 1e-9),
    )
