"""The camera re-fit by a radiance field: photograph the new body, learn it, invert it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import PchipInterpolator

from understudy.cinematography.body_proxy import BodyProxy, body_proxy, common_roles, foot_contact
from understudy.cinematography.camera_fit import CameraFitConfig, fit_camera
from understudy.cinematography.dnerf.config import DNeRFConfig
from understudy.cinematography.dnerf.inversion import ActorShown, Inversion, invert_field
from understudy.cinematography.dnerf.pictures import (
    KEYPOINTS,
    FieldBox,
    SurfaceScatter,
    crop_cameras,
    photographed,
    surrounding_cameras,
)
from understudy.cinematography.dnerf.rays import BoxSpace, as_tensor
from understudy.cinematography.dnerf.terms import Cameras
from understudy.cinematography.dnerf.training import train_field
from understudy.cinematography.fit_terms import FitCamera, picture_of
from understudy.cinematography.framing import measured_framing
from understudy.cinematography.protocol import CameraFit, Framing
from understudy.core.camera import CameraMoveKind, CameraPath
from understudy.core.film import Performance
from understudy.geometry.rigid import transform_from
from understudy.geometry.rotations import matrix_from_vector
from understudy.runtime.progress import Progress, silent

__all__ = ["FieldFit", "fit_camera_by_field", "key_frames", "moved_by_offsets"]


@dataclass(frozen=True)
class FieldFit:
    """The re-fitted camera, and how its terms fell."""

    camera_fit: CameraFit
    inversion: Inversion


def fit_camera_by_field(
    actor: Performance,
    understudy: Performance,
    camera: CameraPath,
    move: CameraMoveKind,
    config: DNeRFConfig,
    device: torch.device,
    progress: Progress = silent,
    world_scale: float | None = None,
) -> FieldFit:
    """Find the camera under which `understudy` fills the frame as `actor` does under `camera`.

    A D-NeRF learns the understudy at the shot's key frames from pictures of it, taken all around; then the camera is
    moved by gradient descent through the field until mask, keypoints and flow agree with the actor's under the source's
    camera (DreamCinema, section III-D). The search begins where the default fitter's does: at the source's camera,
    moved into the new body's world by its scale. Between key frames the camera's offsets are interpolated.

    Raises:
        ValueError: the motions and the camera differ in length, or the bodies share too few parts.
        BackendUnavailable: this machine has no OpenGL 3.3, not even in software.
    """
    start = fit_camera(actor, understudy, camera, move, CameraFitConfig(steps=0), world_scale=world_scale)
    frames = key_frames(len(camera), config.key_frames)
    roles = [name for name in KEYPOINTS if name in common_roles(actor.character, understudy.character)]
    training, inversion = config.training, config.inversion
    work = _Work(progress, (training.steps, inversion.steps))

    body = _at(understudy, frames)
    scatter = SurfaceScatter.over(body.character, roles)
    surface = scatter.over_time(body)
    box = FieldBox.around(surface)
    space = BoxSpace(box, device)
    views = surrounding_cameras(box, training.views, training.picture_px, camera.frame_rate)
    pictures = photographed(body, scatter, surface, views)
    field = train_field(pictures, views, space, config.radiance_field, training, work.stage(0))

    key_camera = _camera_at(start.camera, frames)
    depth = np.einsum("ti,ti->t", box.centre - key_camera.position, key_camera.T_world_camera[:, :3, 2])
    distance_m = float(np.median(depth[depth > 0])) if (depth > 0).any() else box.radius_m
    T = as_tensor(key_camera.T_world_camera, device)
    found = invert_field(
        field,
        space,
        _actor_shown(_at(actor, frames), roles, _camera_at(camera, frames), inversion.picture_px, device),
        Cameras(T[:, :3, :3], T[:, :3, 3], as_tensor(key_camera.K, device)),
        distance_m,
        float(np.diff(frames).mean()) / float(camera.frame_rate) if len(frames) > 1 else 1.0,
        move,
        inversion,
        work.stage(1),
    )
    fitted = moved_by_offsets(start.camera, frames, found.turn, distance_m * found.shift)
    after = _framing(actor, understudy, camera, fitted)
    return FieldFit(replace(start, camera=fitted, after=after, iterations=inversion.steps), found)


def key_frames(frames: int, max_count: int) -> Int[np.ndarray, " key"]:
    """At most `max_count` frames, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, frames - 1, min(max_count, frames)).round().astype(np.int64))


def moved_by_offsets(
    camera: CameraPath,
    frames: Int[np.ndarray, " key"],
    turn: Float[np.ndarray, "key 3"],
    shift_m: Float[np.ndarray, "key 3"],
) -> CameraPath:
    """A camera turned about its own axes (radians) and shifted in the world by offsets given at some frames.

    Between them the offsets are interpolated without overshoot (Fritsch and Carlson 1980).
    """
    offsets = np.concatenate([turn, shift_m], 1)
    if len(frames) > 1:
        offsets = PchipInterpolator(frames, offsets, axis=0)(np.arange(len(camera)))
    offsets = np.broadcast_to(offsets, (len(camera), 6))
    R = camera.T_world_camera[:, :3, :3] @ matrix_from_vector(offsets[:, :3])
    return replace(camera, T_world_camera=transform_from(R, camera.position + offsets[:, 3:]))


class _Work:
    """Stages that follow each other, told as one piece of work."""

    def __init__(self, progress: Progress, steps: Sequence[int]) -> None:
        self._progress, self._steps = progress, steps

    def stage(self, index: int) -> Progress:
        before, of_all = sum(self._steps[:index]), sum(self._steps)

        def tell(done: int, total: int) -> None:
            self._progress(before + done, of_all)

        return tell


def _actor_shown(
    actor: Performance, roles: Sequence[str], camera: CameraPath, side_px: int, device: torch.device
) -> ActorShown:
    scatter = SurfaceScatter.over(actor.character, roles)
    surface = scatter.over_time(actor)
    crops = crop_cameras(camera, surface, side_px)
    return ActorShown.of(photographed(actor, scatter, surface, [crops])[0], crops, camera, device)


def _at(performance: Performance, frames: Int[np.ndarray, " key"]) -> Performance:
    motion = performance.motion
    chosen = replace(
        motion, q_parent_joint=motion.q_parent_joint[frames], root_position_m=motion.root_position_m[frames]
    )
    return replace(performance, motion=chosen)


def _camera_at(camera: CameraPath, frames: Int[np.ndarray, " key"]) -> CameraPath:
    return replace(camera, T_world_camera=camera.T_world_camera[frames], K=camera.K[frames])


def _framing(actor: Performance, understudy: Performance, source: CameraPath, fitted: CameraPath) -> Framing:
    """How far the understudy under the fitted camera is from the actor under the source's."""
    roles = common_roles(actor.character, understudy.character)
    actor_body, body = body_proxy(actor, roles), body_proxy(understudy, roles)
    target = picture_of(actor_body, _view(source, actor_body), None)
    height = target.box_px[:, 3] - target.box_px[:, 1]
    height_px = np.where(target.outline_seen > 0, np.maximum(height, 0.02 * source.height), 2.0 * source.height)
    picture = picture_of(body, _view(fitted, body), height_px)
    return measured_framing(picture, target, height_px, foot_contact(actor_body, float(source.frame_rate)))


def _view(camera: CameraPath, body: BodyProxy) -> FitCamera:
    """A camera as framing is measured through it."""
    depth = np.einsum("ti,ti->t", body.joints.mean(1) - camera.position, camera.T_world_camera[:, :3, 2])
    distance_m = float(np.median(depth[depth > 0])) if (depth > 0).any() else 1.0
    return FitCamera(
        R_world_camera=camera.T_world_camera[:, :3, :3],
        position=camera.position,
        focal_px=np.stack([camera.K[:, 0, 0], camera.K[:, 1, 1]], 1),
        centre_px=camera.K[:, :2, 2],
        near_m=0.05 * distance_m,
        distance_m=distance_m,
    )
