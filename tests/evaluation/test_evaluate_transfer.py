"""Scores against the truth: perfect for the truth itself, and right about errors that are put in."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.core.camera_moves import CameraMoveName
from understudy.core.film import Performance
from understudy.evaluation.scoring import score_body, score_silhouettes
from understudy.evaluation.transfer import _settings, evaluate_film, evaluate_transfer, measured_rows
from understudy.evaluation.transfer_bodies import new_body, perturbed
from understudy.evaluation.transfer_page import as_text, transfer_tables, write_transfer
from understudy.evaluation.transfer_shots import TransferConfig, TransferRow, joint_errors, shots_of, transfer_shot
from understudy.evaluation.truth import read_truth, write_truth
from understudy.geometry.rotations import matrix_from_vector
from understudy.io.cameras.files import write_camera_json
from understudy.io.gltf.write import write_character
from understudy.io.motions.arrays import write_motion_npz
from understudy.retarget.retarget import RetargetConfig, retarget_motion
from understudy.runtime.errors import InputError
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticShotConfig, film_synthetic_shot
from understudy.synthetic.people.motions import Action

FIGURES = dict.fromkeys((
    "pixel_agreement", "iou", "mpjpe_mm", "placed_mm", "pa_mpjpe_mm", "w_mpjpe_mm", "wa_mpjpe_mm", "jitter",
    "root_error_percent", "camera_rotation_deg", "foot_slide_mm", "true_jitter", "wrist_swing_percent",
    "box_centre_percent", "box_height_percent", "height_given_mpjpe_mm",
), 0.5)  # fmt: skip


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    config = SyntheticShotConfig(
        width=320,
        height=180,
        frames=10,
        frame_rate=Fraction(24),
        camera=CameraMove("arc"),
        action=Action("wave"),
        seed=3,
    )
    folder = tmp_path_factory.mktemp("truth")
    return film_synthetic_shot(config, folder)


@pytest.fixture(scope="module")
def truth(shot):
    return write_truth(shot.path.parent, shot)


@pytest.fixture
def actor(shot):
    return Performance(shot.scene.body, shot.scene.person.motion)


def test_a_truth_comes_back_from_disk(shot, truth):
    back = read_truth(shot.path.parent)
    assert np.array_equal(back.joints_m, truth.joints_m) and np.array_equal(back.ground_contact, truth.ground_contact)
    assert np.allclose(back.camera.T_world_camera, truth.camera.T_world_camera)
    assert sum(1 for _ in back.silhouettes()) == 10


def test_the_true_body_scores_perfectly(actor, truth):
    score = score_body(actor, truth.camera, truth)
    for name in ("mpjpe_mm", "pa_mpjpe_mm", "w_mpjpe_mm", "wa_mpjpe_mm", "root_error_percent", "camera_rotation_deg"):
        assert getattr(score, name) < 1e-4, name
    assert score.wrist_swing_percent == pytest.approx(100) and score.jitter == pytest.approx(score.true_jitter)
    # Clothes and hair lie outside the bare body, so that the silhouettes are not the same.
    silhouettes = score_silhouettes(actor, truth.camera, truth)
    assert 0.7 < silhouettes.iou.mean() < 1 and silhouettes.pixel_agreement.mean() > 0.9
    assert silhouettes.box_centre_percent.max() < 3


def test_the_person_as_filmed_has_the_true_silhouette(shot, truth):
    silhouettes = score_silhouettes(shot.scene.person, truth.camera, truth)
    one_pixel_percent = 100 / truth.camera.height  # by which each end of a box may be off: edges are rounded
    assert silhouettes.iou.min() > 0.93 and silhouettes.box_height_percent.max() < 2.01 * one_pixel_percent


def test_errors_that_are_put_in_come_out(actor, truth):
    moved = replace(actor, motion=replace(actor.motion, root_position_m=actor.motion.root_position_m + [0.1, 0, 0]))
    assert score_body(moved, truth.camera, truth).mpjpe_mm < 1e-4, "hips stand on hips"
    assert joint_errors(moved, truth.camera, truth, 1.0)["placed_mm"] == pytest.approx(100)
    turn = np.tile(np.eye(4), (10, 1, 1))
    turn[5:, :3, :3] = matrix_from_vector(np.radians([0.0, 2.0, 0.0]))
    turned = replace(truth.camera, T_world_camera=truth.camera.T_world_camera @ turn)
    assert score_body(actor, turned, truth).camera_rotation_deg == pytest.approx(1.0, abs=1e-6)
    assert (
        score_silhouettes(actor, turned, truth, every=9).iou[1]
        < score_silhouettes(actor, truth.camera, truth, 9).iou[1]
    )
    with pytest.raises(ValueError, match="frames"):
        score_body(actor, replace(turned, T_world_camera=turn[:4], K=turned.K[:4]), truth)


def test_a_body_out_of_frame_scores_nothing(actor, truth):
    away = replace(actor, motion=replace(actor.motion, root_position_m=actor.motion.root_position_m + [0, 50, 0]))
    silhouettes = score_silhouettes(away, truth.camera, truth)
    assert silhouettes.iou.max() == 0 and silhouettes.box_centre_percent.min() == 100


@pytest.mark.parametrize("noise_mm", [20.0, 80.0])
def test_a_perturbation_is_as_large_as_it_says(actor, noise_mm):
    shaken = replace(actor, motion=perturbed(actor, noise_mm, 5))
    moved = np.linalg.norm(shaken.motion.root_position_m - actor.motion.root_position_m, axis=1)
    assert np.sqrt((moved**2).mean()) == pytest.approx(noise_mm / 1000, rel=0.05)
    assert np.abs(shaken.joints_m() - actor.joints_m()).max() > noise_mm / 1000
    assert np.allclose(replace(actor, motion=perturbed(actor, 0.0, 5)).joints_m(), actor.joints_m())


def test_new_bodies_stand_in_another_rest_pose(actor):
    for height_m in (0.7, 1.2, 2.4):
        body = new_body(height_m)
        assert body.height_m == pytest.approx(height_m, rel=0.02)
        hand = body.skeleton.names.index("LeftHand")
        rest = Performance(body, replace(
            actor.motion, skeleton=body.skeleton, q_parent_joint=np.tile([1.0, 0, 0, 0], (10, 22, 1)),
            root_position_m=np.tile(body.skeleton.T_parent_joint[0, :3, 3], (10, 1)),
        )).joints_m()  # fmt: skip
        assert rest[0, hand, 1] < rest[0, body.skeleton.names.index("LeftArm"), 1] - 0.15 * height_m
    adapted, copied = (
        retarget_motion(actor.motion, actor.character, new_body(1.7), RetargetConfig(adapt=adapt))
        for adapt in (True, False)
    )
    bodies = [Performance(new_body(1.7), motion).joints_m() for motion in (adapted, copied)]
    true = actor.joints_m()
    errors = [np.linalg.norm((b - b[:, :1]) - (true - true[:, :1]), axis=-1).mean() for b in bodies]
    assert errors[0] < 0.05 < errors[1]


def test_a_shot_depends_on_its_move_and_number_alone():
    every, two = TransferConfig(moves=get_args(CameraMoveName), shots=3), TransferConfig(moves=("handheld", "arc"))
    for move, number in shots_of(two):
        assert transfer_shot(two, move, number) == transfer_shot(every, move, number)
    shots = [transfer_shot(every, move, number) for move, number in shots_of(every)]
    assert len({shot.seed for shot in shots}) == len(shots) == 3 * len(get_args(CameraMoveName))
    assert len({transfer_shot(TransferConfig(), *shot).actor for shot in shots_of(TransferConfig())}) == 11


def test_tables_are_text_json_and_a_page(tmp_path):
    own = [TransferRow("arc", 0, None, None, True, False, FIGURES)]
    new = [TransferRow("arc", 0, 0.6, None, True, fitted, FIGURES) for fitted in (True, False)]
    shaken = [TransferRow("arc", 0, None, 20.0, True, fitted, FIGURES) for fitted in (True, False)]
    rows = own + new + shaken
    tables = transfer_tables(rows)
    assert [table.title for table in tables] == ["The actor's own body", "New bodies", "Ablation", "Perturbed motion"]
    assert "95.2 / 94.9 / 66.3" in as_text(tables[0])
    page, figures_file = write_transfer(tmp_path, rows, TransferConfig())
    assert "Perturbed motion" in page.read_text() and '"noise_mm": 20.0' in figures_file.read_text()


def test_a_film_is_scored_against_its_truth(actor, shot, truth, tmp_path, capsys):
    folder = tmp_path / "film"
    (folder / "actors/1").mkdir(parents=True)
    (folder / "camera").mkdir()
    write_character(folder / "actors/1/body.glb", actor.character)
    write_motion_npz(folder / "actors/1/motion.npz", actor.motion)
    write_camera_json(folder / "camera/source.json", truth.camera)
    assert evaluate_film(folder, shot.path.parent)["mpjpe_mm"] < 0.1
    assert main(["evaluate", str(folder), "--truth", str(shot.path.parent)]) == 0
    assert '"iou"' in capsys.readouterr().out
    assert main(["evaluate", str(folder), "--truth", str(tmp_path)]) == 2
    assert main(["evaluate", str(tmp_path), "--truth", str(shot.path.parent)]) == 2
    assert "understudy recast" in capsys.readouterr().err
    write_camera_json(folder / "camera/source.json", replace(truth.camera, width=160))
    assert main(["evaluate", str(folder), "--truth", str(shot.path.parent)]) == 2
    write_motion_npz(folder / "actors/1/motion.npz", replace(
        actor.motion, q_parent_joint=actor.motion.q_parent_joint[:4], root_position_m=np.zeros((4, 3))
    ))  # fmt: skip
    assert main(["evaluate", str(folder), "--truth", str(shot.path.parent)]) == 2
    assert capsys.readouterr().err.count("give those of one shot") == 2


def test_what_was_measured_stays_until_a_motion_changes(tmp_path, monkeypatch):
    measured = []

    def measure(move, number, *others):
        measured.append(move)
        return [TransferRow(move, number, None, None, True, False, FIGURES)]

    monkeypatch.setattr("understudy.evaluation.transfer.evaluate_shot", measure)
    (tmp_path / "walk.bvh").write_text("HIERARCHY")
    config = TransferConfig(moves=("arc",), shots=1, motions=(tmp_path / "walk.bvh",))
    for _ in range(2):
        evaluate_transfer(tmp_path / "out", config)
    assert measured == ["arc"]
    (tmp_path / "walk.bvh").write_text("another")
    with pytest.raises(InputError, match="other settings or motions"):
        evaluate_transfer(tmp_path / "out", config)
    for foreign in ("[]", "{}", '{"settings": 1}'):
        (tmp_path / "out/arc_0.json").write_text(foreign)
        with pytest.raises(InputError, match=r"arc_0\.json"):
            evaluate_transfer(tmp_path / "out", config)


@pytest.mark.parametrize("bad", [{"frames": 3}, {"shots": 0}, {"perturb": (-3.0,)}, {"moves": ()}])
def test_unknown_settings_are_refused(bad):
    with pytest.raises(InputError):
        TransferConfig(**bad)


@pytest.mark.parametrize(
    "change",
    [
        "", "[]", "{}", "[" * 100_000, {"rows": 7}, {"rows": [{}]}, {"rows": [{"move": "pan"}]}, {"settings": None},
        {"rows": [{"move": "pan", "shot": "a", "stature": 1, "noise_mm": 1, "adapt": 1, "camera_fit": 1}]},
    ],
)  # fmt: skip
def test_rows_that_are_none_are_refused(tmp_path, change):
    config = TransferConfig(moves=("pan",), shots=1)
    content = {"settings": _settings(config), "rows": []}
    (tmp_path / "pan_0.json").write_text(json.dumps(content))
    assert measured_rows(tmp_path, config) == []
    (tmp_path / "pan_0.json").write_text(change if isinstance(change, str) else json.dumps(content | change))
    with pytest.raises(InputError, match=r"pan_0\.json"):
        measured_rows(tmp_path, config)


@pytest.mark.slow
def test_the_whole_evaluation_of_one_short_shot(tmp_path):
    config = TransferConfig(moves=("arc",), perturb=(40.0,), shots=1, frames=24, width=480, height=270)
    text = evaluate_transfer(tmp_path, config)
    assert "arc" in text and (tmp_path / "transfer.html").is_file()
    rows = (tmp_path / "arc_0.json").stat().st_mtime
    evaluate_transfer(tmp_path, config)
    assert (tmp_path / "arc_0.json").stat().st_mtime == rows, "what was measured is not measured again"
