"""The networks that find people in film, on the one figure of a character's picture: its landmarks, face and hands."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.characters.protocol import Detection
from understudy.decompose.people.face import FaceMesh
from understudy.decompose.people.hands import HandNetwork
from understudy.decompose.people.landmarks import Crop, PoseEstimate, PoseModel
from understudy.io.weights import ensure_weights, list_weights

__all__ = ["FigureLandmarks", "can_find_hands", "find_face", "find_hand"]

_SURE = 0.1
"""From what presence on a body counts as found: low, because drawn figures are unlike the model's photographs."""


class FigureLandmarks:
    """The landmark model on the one figure of a picture: a `LandmarkDetector`."""

    def __init__(self) -> None:
        self._model = PoseModel(ensure_weights("blazepose"))

    def __call__(self, picture: UInt8[np.ndarray, "height width 3"]) -> Detection | None:
        """Look where the detector points, or at the whole picture; look twice, the second time centred on the body."""
        height, width = picture.shape[:2]
        whole = Crop(np.array([width / 2, height / 2]), float(max(width, height)), 0.0)
        (detections,) = self._model.detect(picture, [whole])
        (pose,) = self._model.estimate(picture, [detections[0].crop if detections else whole])
        if pose.presence > _SURE:
            (pose,) = self._model.estimate(picture, [pose.next_crop])
        if pose.presence < _SURE:
            return None
        return pose.landmarks_px, pose.visibility, pose.landmarks_m, _mask_in_picture(pose, width, height)


def find_face(
    picture: UInt8[np.ndarray, "height width 3"], landmarks_px: Float[np.ndarray, "11 2"]
) -> Float[np.ndarray, "468 3"] | None:
    """The face network on the one figure of a picture: a `FaceFinder`, which loads it only when there may be a face."""
    return FaceMesh(ensure_weights("face_mesh") / "face_landmark.tflite")(picture, landmarks_px)


def find_hand(
    picture: UInt8[np.ndarray, "height width 3"], elbow_px: Float[np.ndarray, "2"], wrist_px: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "21 3"] | None:
    """The hand network on one hand of a picture: a `HandFinder`."""
    return HandNetwork(ensure_weights("hand_landmarks") / "hand_landmark_full.tflite")(picture, elbow_px, wrist_px)


def can_find_hands() -> bool:
    """Whether the hand network is here. Nothing is fetched for it: characters do without."""
    return all(status.state == "present" for status in list_weights() if status.weights.name == "hand_landmarks")


def _mask_in_picture(pose: PoseEstimate, width: int, height: int) -> Float[np.ndarray, "height width"]:
    M = pose.crop.picture_from_crop(len(pose.mask))
    # OpenCV counts from the centre of the first pixel, we from its corner.
    M = np.column_stack([M[:, :2], M[:, 2] + M[:, :2] @ np.full(2, 0.5) - 0.5])
    return cv2.warpAffine(pose.mask, M, (width, height), flags=cv2.INTER_LINEAR) / 255.0
