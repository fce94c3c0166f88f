"""How well a cut was taken apart and put together: figures over time, measured on its files."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.core.camera import CameraPath
from understudy.core.film import Performance, Take
from understudy.core.footage import LANDMARKS, CameraSolution, LandmarkTrack
from understudy.core.motion import BODY_JOINTS
from understudy.io.video.streams import read_video
from understudy.metrics.image import mask_iou
from understudy.metrics.motion import foot_sliding_mm, jitter
from understudy.render.renderers import FLAT_LIGHT, RendererConfig, for_silhouettes
from understudy.studio.film_files import BodyFit

__all__ = ["Measured", "Quality", "measure"]

_MASK_SAMPLES = 16


@dataclass(frozen=True)
class Quality:
    """Figures of one cut over its frames; NaN where a frame has none, such as the actor's where they are not there."""

    reprojection_percent: Float[np.ndarray, " time"]
    """Distance of the body's joints from the landmarks, as a share of the actor's height in the picture."""
    mask_iou: Float[np.ndarray, " time"]
    """Of the body's silhouette with the actor's mask; sampled."""
    foot_slide_mm: Float[np.ndarray, " time"]
    """How far a standing foot moves in the world since the frame before."""
    jitter: Float[np.ndarray, " time"]
    """Of the body's joints, in 10 m/s³."""
    camera_residual_px: Float[np.ndarray, " time"]
    """Distance of the set's points from where the camera puts them."""


@dataclass(frozen=True)
class Measured:
    """What was found of one actor in one cut, edits included."""

    actor: Performance
    fit: BodyFit
    landmarks: LandmarkTrack
    matte: Path
    present: Bool[np.ndarray, " time"]
    camera: CameraPath
    """The shot's."""
    solution: CameraSolution


def measure(found: Measured, renderer: RendererConfig) -> Quality:
    """Measure one actor in one cut; the renderer shows the body's silhouette."""
    actor, track, present = found.actor, found.landmarks, found.present
    reprojection_px, contact, joints = found.fit.reprojection_px, found.fit.ground_contact, actor.joints_m()
    time = len(joints)
    slide = np.full(time, np.nan)
    feet = joints[:, [BODY_JOINTS.index("LeftToeBase"), BODY_JOINTS.index("RightToeBase")]]
    for frame in range(1, time):
        stands = contact[frame - 1 : frame] & contact[frame : frame + 1]
        moved = foot_sliding_mm(feet[frame - 1 : frame + 1], stands)
        if len(moved):
            slide[frame] = moved.mean()
    shake = np.full(time, np.nan)
    if time > 3:
        shake[3:] = jitter(joints, float(actor.motion.frame_rate))
    return Quality(
        reprojection_percent=np.where(
            track.seen & present, 100 * reprojection_px / _height_px(track.landmarks_px), np.nan
        ),
        mask_iou=_mask_iou(found, renderer),
        foot_slide_mm=np.where(present, slide, np.nan),
        jitter=np.where(present, shake, np.nan),
        camera_residual_px=found.solution.residual_px,
    )


def _height_px(landmarks_px: Float[np.ndarray, "time 33 2"]) -> Float[np.ndarray, " time"]:
    """The actor's size in the picture as if upright: nose to hips to knees to ankles, plus head and feet."""
    chain = [
        landmarks_px[:, [LANDMARKS.index(f"left_{part}"), LANDMARKS.index(f"right_{part}")]].mean(1)
        for part in ("ear", "hip", "knee", "ankle")
    ]
    length = sum(np.linalg.norm(b - a, axis=-1) for a, b in pairwise(chain))
    # Ears to ankles are 0.87 of a standing person's height (Drillis and Contini 1966).
    return np.maximum(length / 0.87, 1.0)


def _mask_iou(found: Measured, config: RendererConfig) -> Float[np.ndarray, " time"]:
    take = Take((found.actor,), found.camera, FLAT_LIGHT)
    frames = np.flatnonzero(found.present)
    samples = frames[np.linspace(0, len(frames) - 1, min(_MASK_SAMPLES, len(frames))).round().astype(int)].tolist()
    values = np.full(len(found.camera), np.nan)
    with for_silhouettes(config).build() as renderer:
        for frame, coverage in zip(samples, read_video(found.matte, samples), strict=True):
            mask = coverage > 127
            if mask.any():
                values[frame] = mask_iou(renderer(take, frame).alpha > 0.5, mask)
    return values
