"""The surface of a face in a picture: the Face Mesh network, run by LiteRT.

Source: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019 (network:
MediaPipe 0.10.21).
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from understudy.decompose.people.landmarks import Crop, sample_crop
from understudy.decompose.people.network import Network

__all__ = ["FaceMesh"]

INPUT_SIZE = 192
"""Side of the network's input, in pixels."""
LEFT_EYE, RIGHT_EYE, MOUTH = 2, 5, slice(9, 11)
"""Of body landmarks: the pupils, the corners of the mouth."""
FIRST_CROP = 1.9
"""Side of the first crop over the distance between eyes and mouth, of one that holds a whole face (forehead to chin
is 1.6 of them) without the margin."""
CROP_MARGIN = 1.5
"""Side of a crop over the face's extent, as in MediaPipe's own graph."""
MIN_FACE_SCORE = 0.9
"""0 … 1: of a face that is there. MediaPipe asks for 0.5; snouts and beards of drawn figures reach 0.7, people 1.0."""


class FaceMesh:
    """The network, loaded once."""

    def __init__(self, path: Path) -> None:
        self._network = Network(path)

    def __call__(
        self, picture: UInt8[np.ndarray, "height width 3"], landmarks_px: Float[np.ndarray, "11 2"]
    ) -> Float[np.ndarray, "468 3"] | None:
        """The points of a face's surface, x and y in the picture's pixels, z in pixels towards the viewer from the
        head's middle; None where no face is seen. `landmarks_px` are the first 11 body landmarks (nose to mouth)."""
        eyes = 0.5 * (landmarks_px[LEFT_EYE] + landmarks_px[RIGHT_EYE])
        mouth = landmarks_px[MOUTH].mean(0)
        down, across = mouth - eyes, landmarks_px[LEFT_EYE] - landmarks_px[RIGHT_EYE]
        extent = FIRST_CROP * max(float(np.linalg.norm(down)), 0.9 * float(np.linalg.norm(across)), 1.0)
        crop = Crop(eyes + 0.4 * down, CROP_MARGIN * extent, float(np.arctan2(across[1], across[0])))
        points, score = self._look(picture, crop)
        if score < MIN_FACE_SCORE:
            return None
        # Once more, centred on what was found: the first crop rests on five points only.
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        crop = Crop(0.5 * (low + high), CROP_MARGIN * float((high - low).max()), crop.angle)
        points, score = self._look(picture, crop)
        return points if score >= MIN_FACE_SCORE else None

    def _look(
        self, picture: UInt8[np.ndarray, "height width 3"], crop: Crop
    ) -> tuple[Float[np.ndarray, "468 3"], float]:
        """Points in the picture and how sure the network is that the crop holds a face, 0 … 1."""
        patch = sample_crop(picture, crop, INPUT_SIZE)
        raw, score = self._network(patch.astype(np.float32) / 255.0)
        raw = raw.reshape(-1, 3).astype(np.float64)
        M = crop.picture_from_crop(INPUT_SIZE)
        points = np.column_stack([raw[:, :2] @ M[:, :2].T + M[:, 2], -raw[:, 2] * crop.size_px / INPUT_SIZE])
        return points, float(1 / (1 + np.exp(-np.clip(score.ravel()[0], -80, 80))))
