"""How far a body under a camera is from the truth, in every measure of the field at once."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float

from understudy.core.camera import CameraPath
from understudy.core.film import Performance, Take
from understudy.core.motion import BODY_JOINTS
from understudy.evaluation.truth import Truth
from understudy.geometry.rigid import invert, transform
from understudy.metrics.camera import relative_trajectory_error, rotation_error_deg
from understudy.metrics.image import mask_iou, pixel_agreement
from understudy.metrics.motion import (
    amplitude_kept,
    foot_sliding_mm,
    jitter,
    mpjpe_mm,
    pa_mpjpe_mm,
    root_translation_error_percent,
    w_mpjpe_mm,
    wa_mpjpe_mm,
)
from understudy.render.backends.opengl import OpenGL
from understudy.render.renderers import FLAT_LIGHT
from understudy.runtime.errors import InputError

__all__ = ["BodyScore", "Silhouettes", "score_body", "score_silhouettes"]

TOES = [BODY_JOINTS.index(f"{side}ToeBase") for side in ("Left", "Right")]
WRISTS = [BODY_JOINTS.index(f"{side}Hand") for side in ("Left", "Right")]
HIPS = BODY_JOINTS.index("Hips")


@dataclass(frozen=True)
class BodyScore:
    """Joints and camera against the truth; definitions as in the human-motion field (GVHMR) and DreamCinema."""

    mpjpe_mm: float
    """In the coordinates of each one's own camera, hips on hips in every frame."""
    pa_mpjpe_mm: float
    w_mpjpe_mm: float
    """Over 100 frames, aligned by the first two, in which an actor who enters later is a guess."""
    wa_mpjpe_mm: float
    """Over 100 frames, aligned by all of them."""
    root_error_percent: float
    """RTE."""
    camera_rotation_deg: float
    """Mean over frames, of turns since the first."""
    camera_path_percent: float
    """Of the path's length, after a similarity."""
    foot_slide_mm: float
    """Of feet that truly stand, per frame."""
    jitter: float
    """10 m/s³."""
    true_jitter: float
    wrist_swing_percent: float
    """How much of the wrists' swing about the hips is kept."""

    def rounded(self) -> dict[str, float]:
        """For tables."""
        return {field.name: round(getattr(self, field.name), 2) for field in fields(self)}


def score_body(body: Performance, camera: CameraPath, truth: Truth) -> BodyScore:
    """Score a performance on the canonical skeleton. Raises ValueError unless it is as long as the truth."""
    if len(camera) != len(truth.camera):
        raise ValueError(f"the film has {len(camera)} frames, the truth {len(truth.camera)}")
    predicted, true = body.joints_m(), truth.joints_m
    rate = float(truth.camera.frame_rate)
    in_camera = (
        transform(invert(camera.T_world_camera), predicted),
        transform(invert(truth.camera.T_world_camera), true),
    )
    stands = truth.ground_contact[1:] & truth.ground_contact[:-1]
    slides = foot_sliding_mm(predicted[:, TOES], stands)
    swings = [[(joints[:, wrist] - joints[:, HIPS]) for wrist in WRISTS] for joints in (predicted, true)]
    return BodyScore(
        mpjpe_mm=float(mpjpe_mm(*in_camera).mean()),
        pa_mpjpe_mm=float(pa_mpjpe_mm(*in_camera).mean()),
        w_mpjpe_mm=float(w_mpjpe_mm(predicted, true).mean()),
        wa_mpjpe_mm=float(wa_mpjpe_mm(predicted, true).mean()),
        root_error_percent=float(root_translation_error_percent(predicted[:, HIPS], true[:, HIPS]).mean()),
        camera_rotation_deg=float(rotation_error_deg(camera.T_world_camera, truth.camera.T_world_camera).mean()),
        camera_path_percent=100 * relative_trajectory_error(camera.T_world_camera, truth.camera.T_world_camera),
        foot_slide_mm=float(slides.mean()) if len(slides) else 0.0,
        jitter=float(jitter(predicted, rate).mean()),
        true_jitter=float(jitter(true, rate).mean()),
        wrist_swing_percent=100 * float(np.mean([amplitude_kept(a, b) for a, b in zip(*swings, strict=True)])),
    )


@dataclass(frozen=True)
class Silhouettes:
    """A body's silhouette against the actor's, over the frames that were compared."""

    iou: Float[np.ndarray, " time"]
    pixel_agreement: Float[np.ndarray, " time"]
    """PA: equal pixels in the true box, grown by a quarter on every side."""
    box_centre_percent: Float[np.ndarray, " time"]
    """Distance of the boxes' centres, of the picture's height."""
    box_height_percent: Float[np.ndarray, " time"]
    """Difference of the boxes' heights, of the picture's height."""


def score_silhouettes(body: Performance, camera: CameraPath, truth: Truth, every: int = 4) -> Silhouettes:
    """Compare silhouettes in every `every`-th frame that shows the actor; a body that is not seen scores 0 and 100.

    Raises:
        InputError: the true silhouettes are more, or of another size, than the camera's pictures.
    """
    take, rows = Take((body,), camera, FLAT_LIGHT), []
    with OpenGL(supersampling=1, shadow_map_px=16, self_occlusion=False).build() as renderer:
        for frame, true in enumerate(truth.silhouettes()):
            if frame == len(camera) or true.shape != (camera.height, camera.width):
                raise InputError(
                    f"the film has {len(camera)} frames of {camera.width}×{camera.height}; the truth's frame {frame} "
                    f"has {true.shape[1]}×{true.shape[0]} pixels: give those of one shot"
                )
            if frame % every or not true.any():
                continue
            made = renderer(take, frame).alpha > 0.5
            centre, height = _box_errors(made, true)
            rows.append((mask_iou(made, true), pixel_agreement(made, true), centre, height))
    columns = np.array(rows).reshape(-1, 4).T
    return Silhouettes(*columns)


def _box_errors(made: Bool[np.ndarray, "height width"], true: Bool[np.ndarray, "height width"]) -> tuple[float, float]:
    if not made.any():
        return 100.0, 100.0
    (centre, tall), (true_centre, true_tall) = (_box(mask) for mask in (made, true))
    per_height = 100 / true.shape[0]
    return float(np.linalg.norm(centre - true_centre)) * per_height, abs(tall - true_tall) * per_height


def _box(mask: Bool[np.ndarray, "height width"]) -> tuple[Float[np.ndarray, "2"], float]:
    """Centre and height in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    centre = np.array([columns[0] + columns[-1] + 1, rows[0] + rows[-1] + 1]) / 2
    return centre, float(rows[-1] + 1 - rows[0])
