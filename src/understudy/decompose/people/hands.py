"""The joints of a hand in a picture: MediaPipe's hand landmark network, run by LiteRT.

Source: Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020 (network: MediaPipe 0.10.21).
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from understudy.decompose.people.landmarks import Crop, sample_crop
from understudy.decompose.people.network import Network

__all__ = ["HandNetwork"]

INPUT_SIZE = 224
"""Side of the network's input, in pixels."""
WRIST, MIDDLE_KNUCKLE = 0, 9
HAND_LENGTHS = (0.9, 0.6, 1.3)
"""Length of a hand over that of its forearm, as tried: a person's is 0.75; drawn figures have others."""
FIRST_CROP, NEXT_CROP = 2.2, 2.0
"""Side of the first crop over the hand's guessed length, and of the second over its extent as found."""
MIN_HAND_SCORE = 0.9
"""0 … 1: of a hand that is there. MediaPipe asks for 0.5; sleeves, paws and gloves of drawn figures reach 0.87, hands
0.97 to 1.0."""


class HandNetwork:
    """The network, loaded once."""

    def __init__(self, path: Path) -> None:
        self._network = Network(path)

    def __call__(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        elbow_px: Float[np.ndarray, "2"],
        wrist_px: Float[np.ndarray, "2"],
    ) -> Float[np.ndarray, "21 3"] | None:
        """The joints of the hand that goes on from a forearm: wrist, then thumb to little finger from root to tip, x
        and y in the picture's pixels, z in pixels towards the viewer from the wrist; None where no hand is seen."""
        forearm = wrist_px - elbow_px
        reach = float(np.linalg.norm(forearm))
        if reach < 1.0:
            return None
        along = forearm / reach
        tries = [self._try(picture, wrist_px, along, share * reach) for share in HAND_LENGTHS]
        points, score = max(tries, key=lambda found: found[1])
        return points if score >= MIN_HAND_SCORE else None

    def _try(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        wrist_px: Float[np.ndarray, "2"],
        along: Float[np.ndarray, "2"],
        length: float,
    ) -> tuple[Float[np.ndarray, "21 3"], float]:
        """Look where a hand of this length would be, then once more where one was found, which stands upright now."""
        first, _ = self._look(picture, _upright(wrist_px + 0.45 * length * along, FIRST_CROP * length, along))
        low, high = first[:, :2].min(0), first[:, :2].max(0)
        up = first[MIDDLE_KNUCKLE, :2] - first[WRIST, :2]
        extent = max(float((high - low).max()), 1.0)
        return self._look(picture, _upright(0.5 * (low + high), NEXT_CROP * extent, up))

    def _look(
        self, picture: UInt8[np.ndarray, "height width 3"], crop: Crop
    ) -> tuple[Float[np.ndarray, "21 3"], float]:
        """Joints in the picture and how sure the network is that the crop holds a hand, 0 … 1."""
        patch = sample_crop(picture, crop, INPUT_SIZE)
        raw, score, _, solid = self._network(patch.astype(np.float32) / 255.0)
        seen, solid = raw.reshape(-1, 3)[:, :2].astype(np.float64), solid.reshape(-1, 3).astype(np.float64)
        # The joints in metres have the depth of a hand; the depth beside those in pixels is much too flat.
        flat, centred = solid[:, :2] - solid[:, :2].mean(0), seen - seen.mean(0)
        scale = max(float((flat * centred).sum()), 0.0) / max(float((flat * flat).sum()), 1e-12)
        M = crop.picture_from_crop(INPUT_SIZE)
        z = (solid[WRIST, 2] - solid[:, 2]) * scale * crop.size_px / INPUT_SIZE
        return np.column_stack([seen @ M[:, :2].T + M[:, 2], z]), float(score.ravel()[0])


def _upright(centre: Float[np.ndarray, "2"], size: float, up: Float[np.ndarray, "2"]) -> Crop:
    """A crop in which `up`, a direction in the picture, points up."""
    return Crop(centre, size, float(np.arctan2(up[0], -up[1])))
