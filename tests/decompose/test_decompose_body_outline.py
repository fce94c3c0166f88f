"""The mask's outline: derivatives, what is worn, and where limbs are, on a body whose surface is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import walking_actor as actor

from understudy.body.model import SEGMENTS, BodyModel
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion
from understudy.decompose.body.fit import fit_actor
from understudy.decompose.body.initial_pose import initial_pose, observe
from understudy.decompose.body.outline import ClothedSurface, OutlineConfig, find_outline, outline_rows, read_masks
from understudy.decompose.body.pose_state import FREEDOMS, PoseState, place
from understudy.decompose.body.terms import State, linearise, shared_sizes
from understudy.decompose.body.world_frame import T_WORLD_CAMERA
from understudy.geometry.rotations import quaternion_from_matrix
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import read_video
from understudy.metrics.image import mask_iou
from understudy.render.backends.opengl import OpenGL

FRAMES = 16
CLOTH_M = 0.02
FLAT = Light(np.array([0.0, 1.0, 0.0]), np.zeros(3), np.ones(3), np.ones(3))


@pytest.fixture(scope="module")
def walk() -> PoseState:
    points, shape = actor.body_points()
    return actor.walk(points, shape, FRAMES)


@pytest.fixture(scope="module")
def mask(walk: PoseState, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The walker in clothes of an even thickness, without gloves."""
    _, shape = actor.body_points()
    model = BodyModel.load()
    body = model.character(np.pad(shape, (0, model.components - len(shape))))
    thick = CLOTH_M * ~is_hand(model)
    clothed = replace(body, mesh=replace(body.mesh, vertices=body.mesh.vertices + thick[:, None] * body.mesh.normals))
    camera = actor.film(walk, "static")
    path = tmp_path_factory.mktemp("outline") / "mask.mkv"
    with VideoWriter(path, camera.width, camera.height, camera.frame_rate, "mask") as writer:
        for drawn in silhouettes(clothed, motion_of(walk, body), camera):
            writer.write((drawn * 255).astype(np.uint8))
    return path


def is_hand(model: BodyModel) -> np.ndarray:
    return np.isin(model.vertex_segment, [SEGMENTS.index("left_hand"), SEGMENTS.index("right_hand")])


def motion_of(pose: PoseState, body: Character) -> Motion:
    rate = actor.film(pose, "static").frame_rate
    return Motion(body.skeleton, quaternion_from_matrix(pose.R_parent_joint), pose.root_m, rate)


def silhouettes(body: Character, motion: Motion, camera) -> list[np.ndarray]:
    take = Take((Performance(body, motion),), camera, FLAT)
    with OpenGL(supersampling=1, shadow_map_px=16).build() as renderer:
        return [renderer(take, frame).alpha > 0.5 for frame in range(len(motion))]


def test_derivatives_of_the_outline(walk: PoseState, mask: Path) -> None:
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    track = actor.see(points, shape, walk, camera, 1.0, 3)
    seen = observe(track, actor.solve(camera, "static").camera, T_WORLD_CAMERA)
    seen = replace(seen, camera_position=np.random.default_rng(1).normal(0, 0.01, (FRAMES, 3)))
    pose = initial_pose(track, seen, points, shape)
    state = State(pose, shape, 0.1, 0.0, np.array([0.0, 1.0, 0.0]), 0.0, np.zeros(3))
    config = OutlineConfig(every=2)
    masks = read_masks(mask, 0, seen, config)
    assert sorted(masks) == list(range(0, FRAMES, config.every))
    surface = ClothedSurface.bare(BodyModel.load(), shape)
    picture = (camera.width, camera.height)
    outline = find_outline(BodyModel.load(), surface, state, place(points, pose, shape), seen, masks, picture, config)
    assert (outline.weight[:: config.every].sum(1) > 0.9 * config.counts_as).all()
    assert not outline.weight[1 :: config.every].any(), "frames without a mask say nothing"
    rows = outline_rows(seen, state, linearise(points, state), outline, config)
    step = 1e-6
    direction = {name: np.zeros(size) for name, size in shared_sizes(10).items()}
    direction |= {"pose": np.random.default_rng(0).normal(size=(FRAMES, FREEDOMS)), "log_scale": np.array([0.7])}
    values = [
        outline_rows(seen, moved, linearise(points, moved), outline, config).value
        for sign in (1, -1)
        for moved in [state.moved({name: sign * step * change for name, change in direction.items()})]
    ]
    numeric = (values[0] - values[1]) / (2 * step)
    analytic = np.einsum("trpf,tf->trp", rows.derivatives["pose"], direction["pose"])
    analytic += rows.derivatives["log_scale"] @ direction["log_scale"]
    used = outline.weight > 0
    assert np.abs(numeric - analytic)[used].max() < 1e-4 * np.abs(analytic[used]).max()


def test_what_is_worn_is_found(walk: PoseState, mask: Path) -> None:
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    track = actor.see(points, shape, walk, camera, 0.0, 0)
    bare, fit = (fit_actor(track, actor.solve(camera, "static"), 1.72, mask=path) for path in (None, mask))
    off = ((fit.body.mesh.vertices - bare.body.mesh.vertices) * bare.body.mesh.normals).sum(1)
    model = BodyModel.load()
    trunk = np.isin(model.vertex_segment, [SEGMENTS.index(name) for name in ("torso", "left_thigh", "right_thigh")])
    assert np.median(off[trunk]) == pytest.approx(CLOTH_M, abs=0.008)
    assert np.abs(off[is_hand(model)]).max() < 0.01
    assert np.allclose(fit.body.skeleton.T_parent_joint, bare.body.skeleton.T_parent_joint, atol=0.01)


def test_a_mask_brings_a_noisy_fit_nearer(walk: PoseState, mask: Path) -> None:
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    track = actor.see(points, shape, walk, camera, 1.0, 4)
    scores = []
    true = [frame > 127 for frame in read_video(mask)]
    for path in (None, mask):
        fit = fit_actor(track, actor.solve(camera, "static"), 1.72, mask=path)
        made = silhouettes(fit.body, fit.motion, fit.camera)
        scores.append(np.mean([mask_iou(a, b) for a, b in zip(made, true, strict=True)]))
    assert scores[1] > 0.88 > scores[0] + 0.05
