"""How stout an actor is, from the mask: landmarks show lengths only."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.linalg import eigh

from understudy.body.model import BodyModel
from understudy.core.camera import CameraPath
from understudy.decompose.align import T_WORLD_CAMERA
from understudy.decompose.body_pose import BodyPoints, place
from understudy.decompose.body_terms import Observations, State, project_landmarks
from understudy.geometry.rigid import transform_from
from understudy.geometry.skinning import skin_vertices
from understudy.io.video import read_video

__all__ = ["fit_girth", "girth_direction", "silhouette"]

FRAMES = 5
"""How many frames are looked at."""
PERSON_PX = 200
"""How tall the person is drawn."""
GIRTHS = (-1.5, -0.75, 0.0, 0.75, 1.5, 2.25)
"""What is tried, in standard deviations."""


def girth_direction(model: BodyModel, components: int) -> Float[np.ndarray, " component"]:
    """The shape change, one standard deviation long, that moves the surface most for how little it moves the joints."""
    surface = model.vertex_basis[..., :components].reshape(-1, components)
    joints = model.joint_basis[..., :components].reshape(-1, components)
    prior = 2e-5 * np.eye(components)
    _, vectors = eigh(surface.T @ surface / len(surface), joints.T @ joints * (3.0 / len(joints)) + prior)
    direction = vectors[:, -1] / np.linalg.norm(vectors[:, -1])
    widest = model.joints[:, 1].mean()
    belly = np.abs(model.vertices[:, 1] - widest) < 0.05
    outwards = (model.vertex_basis[belly, :, :components] @ direction)[:, 2] * np.sign(model.vertices[belly, 2])
    return direction * np.sign(outwards.mean() or 1.0)


def fit_girth(
    model: BodyModel, points: BodyPoints, seen: Observations, state: State, camera: CameraPath, mask: Path, first: int
) -> Float[np.ndarray, " component"]:
    """The shape with the girth that covers the mask best; unchanged where the person is never whole in sight.

    Args:
        mask: grey video, 0 … 255 is coverage; its frame `first` is the first frame of `state`.
    """
    direction = girth_direction(model, len(state.shape))
    body_px, _ = project_landmarks(seen, state, place(points, state.pose, state.shape))
    whole = ((body_px > 4) & (body_px < [camera.width - 4, camera.height - 4])).all((1, 2)) & (seen.trust.sum(1) > 5)
    frames = np.flatnonzero(whole)
    if len(frames) < 3:
        return state.shape
    overlap = np.zeros(len(GIRTHS))
    for frame in np.unique(frames[np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)]):
        size = PERSON_PX / seen.person_px[frame]
        coverage = next(read_video(mask, first + int(frame), first + int(frame) + 1))
        for index, girth in enumerate(GIRTHS):
            shape = state.shape + girth * direction
            body = silhouette(model, points, state, camera, int(frame), shape, size)
            person = cv2.resize(coverage, body.shape[::-1], interpolation=cv2.INTER_AREA) > 127
            overlap[index] += (body & person).sum() / max((body | person).sum(), 1)
    return state.shape + GIRTHS[int(overlap.argmax())] * direction


def silhouette(
    model: BodyModel,
    points: BodyPoints,
    state: State,
    camera: CameraPath,
    frame: int,
    shape: Float[np.ndarray, " component"],
    size: float,
) -> Bool[np.ndarray, "height width"]:
    """Where the body of a shape is in one frame's picture, which is drawn `size` times as large."""
    one = State(state.pose.frames(slice(frame, frame + 1)), shape, state.log_scale, 0.0, state.up, 0.0, state.pivot)
    placed = place(points, one.pose, shape)
    full = np.pad(shape, (0, model.components - len(shape)))
    rest = model.joints + model.joint_basis @ full
    R, p = placed.R_world_joint[0], placed.joints_m[0]
    T_world_mesh = transform_from(R, p - np.einsum("jik,jk->ji", R, rest))
    vertices = skin_vertices(
        model.vertices + model.vertex_basis @ full, T_world_mesh, model.skin_joints, model.skin_weights
    )
    T = T_WORLD_CAMERA @ camera.T_world_camera[frame]
    local = (vertices - np.exp(state.log_scale) * T[:3, 3]) @ T[:3, :3]
    K = camera.K[frame]
    flat = (local[:, :2] / np.maximum(local[:, 2:], 0.05) * K[[0, 1], [0, 1]] + K[:2, 2]) * size
    canvas: UInt8[np.ndarray, "height width"] = np.zeros(
        (round(camera.height * size), round(camera.width * size)), np.uint8
    )
    corners = flat[model.faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # Faces that look at the camera cover all of the outline.
    for triangle in np.rint(16 * corners[a[:, 0] * b[:, 1] < a[:, 1] * b[:, 0]]).astype(np.int32):
        cv2.fillConvexPoly(canvas, triangle, 1, shift=4)
    return canvas > 0
