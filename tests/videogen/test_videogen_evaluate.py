"""Measures of films must be perfect for the truth, and see what is wrong with anything else."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from lpips_weights import linear_weights, trunk_weights

from understudy.evaluation.measured_films import MeasuredFilms
from understudy.evaluation.scene import ALEXNET, EvaluateSceneConfig, evaluate_scene
from understudy.geometry.rotations import rotation_angle
from understudy.metrics.lpips import Lpips
from understudy.runtime.errors import InputError
from understudy.synthetic.worlds.camera_paths import MoveMix
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.synthetic.worlds.endless import ClipMix, ClipSizes, EndlessClips
from understudy.videogen.evaluation.contestants import (
    BestContextCrop,
    CopyFirstCrop,
    PointCloud,
    TrueClips,
    covered,
    find_models,
    reordered,
)
from understudy.videogen.evaluation.evaluate import MEASURED_MOVES, Evaluation, camera_figures, measure, psnr_by_frame
from understudy.videogen.evaluation.pose_search import candidate_poses, find_poses
from understudy.videogen.evaluation.subject_check import find_silhouettes, movement, placed_as_said
from understudy.videogen.training.presets import PRESETS, varied
from understudy.videogen.transformer.checkpoints import GeometryOrigin, save_model
from understudy.videogen.transformer.model import VideoTransformer

SIZES = ClipSizes(frames=3, height=48, width=48, crops=6, crop_size=48)
FEW = Evaluation(clips=3, seeds=(0, 1), posed_clips=2)


def clips(move: str, amount_deg: float, count: int = 4):
    mix = ClipMix(moves=MoveMix({move: 1.0}, math.radians(amount_deg)), empty_share=0.0)
    held_out = EndlessClips(3, SIZES, split="held_out", mix=mix)
    return held_out, held_out.describe(range(count)), held_out.clips(range(count))


@pytest.mark.parametrize("move", MEASURED_MOVES)
def test_the_truth_is_perfect_on_every_measure(move):
    lpips = Lpips(trunk_weights(), linear_weights())
    figures, take = measure(TrueClips(), SIZES, MEASURED_MOVES[move], FEW, lpips=lpips)
    assert figures.psnr_db.shape == (6, 3) and (figures.psnr_db > 90).all()
    assert (figures.ssim > 0.999).all()
    assert figures.lpips.shape == (6, 3) and figures.lpips.max() < 1e-4
    assert (figures.mirrored_gain_db > 40).all()
    assert figures.camera.last_rotation_deg.shape == (4,) and figures.camera.last_rotation_deg.max() < 0.2
    assert np.median(figures.camera.rotation_sum_rad) < 0.02
    assert np.nanmean(figures.subject.present) > 0.8
    assert np.isnan(figures.subject.unasked).all()
    assert take.frames.shape == (3, 3, 48, 48, 3)


def test_films_without_knowledge_are_worse_the_further_the_camera_goes():
    pan = MEASURED_MOVES["pan 75°"]
    evaluation = Evaluation(clips=6, seeds=(0,), posed_clips=0)
    still, best, cloud = (
        measure(film, SIZES, pan, evaluation, False)[0] for film in (CopyFirstCrop(), BestContextCrop(), PointCloud())
    )
    assert still.psnr_db[:, 0].mean() > still.psnr_db[:, -1].mean() + 5
    assert best.psnr_db.mean() > still.psnr_db.mean()
    assert cloud.psnr_db[:, -1].mean() > best.psnr_db[:, -1].mean() + 3
    assert still.mirrored_gain_db.mean() < 1 < cloud.mirrored_gain_db.mean()


def test_psnr_counts_only_where_it_is_told():
    truth = torch.zeros(1, 2, 3, 4, 4)
    made = truth.clone()
    made[..., 0, 0] = 1.0
    everywhere = psnr_by_frame(made, truth, torch.ones(1, 2, 4, 4, dtype=torch.bool))
    assert everywhere[0].tolist() == pytest.approx([10 * math.log10(16 * 4)] * 2)
    elsewhere = torch.ones(1, 2, 4, 4, dtype=torch.bool)
    elsewhere[..., 0, 0] = False
    assert (psnr_by_frame(made, truth, elsewhere) > 98).all()


def test_a_camera_off_its_path_is_found_where_it_is():
    held_out, scene, batch = clips("arc", 40)
    turned = batch.T_start_camera.clone()
    angle = math.radians(4.0)
    turn = torch.tensor([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
    turned[:, -1, :3, :3] = turned[:, -1, :3, :3] @ turn
    frames, _ = held_out.empty_views(scene, turned)
    background = torch.ones(4, 3, 48, 48, dtype=torch.bool)
    candidates = candidate_poses(batch.T_start_camera, held_out.clips(range(4), mirrored=True).T_start_camera)
    found = find_poses(scene, SIZES, frames, background, candidates).T_start_camera.double().numpy()

    def angles_deg(true):
        R = true.double().numpy()[:, -1, :3, :3]
        return np.degrees(rotation_angle(np.swapaxes(found[:, -1, :3, :3], 1, 2) @ R))

    assert np.median(angles_deg(turned)) < 0.6 and np.median(angles_deg(batch.T_start_camera)) > 3


def test_cameras_in_a_scale_of_their_own_have_no_distance_in_metres():
    _, _, batch = clips("arc", 40, 1)
    true = batch.T_start_camera.double().numpy()
    found = true.copy()
    found[..., :3, 3] *= 7
    figures = camera_figures(found, true, metric=False)
    assert np.isnan(figures.last_distance_m).all() and figures.translation_sum < 1e-6
    assert (camera_figures(found, true).last_distance_m > 1).all()


def test_what_no_picture_shows_is_not_covered():
    _, _, batch = clips("pan", 60)
    assert covered(batch).float().mean() > 0.9
    one = ClipBatch(
        **{name: getattr(batch, name) for name in ("video", "empty", "mask", "depth_m", "T_start_camera", "K")},
        **{name: getattr(batch, name)[:, :1] for name in ("context", "context_depth_m", "T_start_crop")},
        K_crop=batch.K_crop, words=batch.words,
    )  # fmt: skip
    assert covered(one)[:, 0].float().mean() > 0.9 > 0.6 > covered(one)[:, -1].float().mean()


def test_silhouettes_tell_somebody_from_nobody():
    _, scene, batch = clips("static", 0, 8)
    there = find_silhouettes(batch.video, batch.empty, batch.mask)
    gone = find_silhouettes(batch.empty, batch.empty, batch.mask)
    asked = there.asked.any(1)
    assert there.present[asked].float().mean() > 0.8 and not gone.present.any()
    frozen = find_silhouettes(batch.video[:, :1].expand_as(batch.video), batch.empty, batch.mask)
    assert np.nanmean(movement(there).numpy()) > np.nanmean(movement(frozen).numpy())
    assert np.nanmean(placed_as_said(there, scene, batch.K).numpy()) > 0.85
    mirrored = find_silhouettes(batch.video.flip(-1), batch.empty.flip(-1), batch.mask.flip(-1))
    assert np.nanmean(placed_as_said(mirrored, scene, batch.K).numpy()) < 0.7


@dataclass(frozen=True)
class Noise:
    """A film of nothing."""

    def __call__(self, batch: ClipBatch, seed: int) -> torch.Tensor:
        return torch.randn(batch.video.shape, generator=torch.Generator().manual_seed(seed))


def test_noise_is_no_film():
    lpips = Lpips(trunk_weights(), linear_weights())
    figures, _ = measure(Noise(), SIZES, MEASURED_MOVES["pan 75°"], Evaluation(2, (0,), 0), False, lpips=lpips)
    assert figures.lpips.min() > 0.01
    assert figures.psnr_db.max() < 12 and abs(figures.mirrored_gain_db).max() < 1


def test_pictures_in_another_order_are_the_same_set_and_another_start_is_not():
    batch = clips("pan", 60.0)[2]
    for film in (BestContextCrop(), PointCloud()):
        turned = reordered(film, 6)["in another order"](batch, 0)
        assert (turned - film(batch, 0)).abs().mean() < 1e-3
    still = CopyFirstCrop()
    others = reordered(still, 6)
    assert torch.equal(others["in another order"](batch, 0), still(batch, 0))
    assert (others["the first picture is not the start view"](batch, 0) - still(batch, 0)).abs().mean() > 0.1


def save_untrained(folder, variant):
    torch.manual_seed(0)
    model = VideoTransformer(varied(PRESETS["tiny"], variant).model)
    save_model(folder, model.config, model.state_dict(), 0, GeometryOrigin("oracle"))


def test_more_pictures_than_a_variant_numbers_are_refused(tmp_path):
    save_untrained(tmp_path, "no_geometry")
    save_untrained(tmp_path / "ordered", "ordered")
    with pytest.raises(InputError, match="variant ordered numbers its pictures: give 3 or fewer"):
        evaluate_scene(tmp_path, tmp_path / "out", EvaluateSceneConfig(ablations=True, pictures=4))
    assert not (tmp_path / "out").exists()


def test_weights_of_lpips_that_are_damaged_are_refused_before_the_work(tmp_path, monkeypatch):
    save_untrained(tmp_path, "default")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub_home"))
    trunk = tmp_path / "hub_home/hub/checkpoints" / ALEXNET
    trunk.parent.mkdir(parents=True)
    torch.save(trunk_weights(), trunk)
    with pytest.raises(InputError, match=f"{ALEXNET} is damaged"):
        evaluate_scene(tmp_path, tmp_path / "out")


def test_a_run_becomes_one_page_with_its_variants(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub_home"))
    for folder, variant in (("", "default"), ("no_geometry", "no_geometry"), ("loss_guided", "loss_guided")):
        save_untrained(tmp_path / folder, variant)
    config = EvaluateSceneConfig(
        ablations=True, other_pictures=True, clips=2, seeds=1, posed_clips=1, pictures=3, steps=2
    )
    result = evaluate_scene(tmp_path, tmp_path / "out", config)
    page = result.page.read_text()
    assert "LPIPS was not measured" in page
    assert "no_geometry" in page and "data:image/webp;base64," in page and "<script" not in page
    tables = json.loads(result.figures.read_text())["tables"]
    films = [row["film"] for row in tables["pan 75°: the set and the camera"]]
    assert films[:3] == ["default", "loss_guided", "no_geometry"] and "truth" in films
    for figures in result.measured.values():
        assert all(np.isfinite(figures[name].psnr_db).all() for name in films[:3])
    assert tables["Other pictures of the set"]


def test_an_evaluation_that_was_cut_off_goes_on_and_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub_home"))
    run, config = tmp_path / "run", EvaluateSceneConfig(clips=1, seeds=1, posed_clips=1, pictures=3, steps=1)
    save_untrained(run, "default")
    whole = evaluate_scene(run, tmp_path / "whole", config)
    measured = []

    def measure_three(film, *rest):
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(film)
        return measure(film, *rest)

    monkeypatch.setattr("understudy.evaluation.scene.measure", measure_three)
    with pytest.raises(KeyboardInterrupt):
        evaluate_scene(run, tmp_path / "cut", config)
    measured.clear()
    resumed = evaluate_scene(run, tmp_path / "cut", config)
    assert len(measured) == 1  # of two films on two moves
    for name in ("evaluation.html", "evaluation.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    np.testing.assert_equal(
        [vars(figures.camera) for figures in resumed.measured["arc 60°"].values()],
        [vars(figures.camera) for figures in whole.measured["arc 60°"].values()],
    )
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {"evaluation.html", "evaluation.json"}


def test_other_weights_under_the_same_name_are_measured_anew(tmp_path):
    films = []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        model = VideoTransformer(PRESETS["tiny"].model)
        save_model(tmp_path / "run", model.config, model.state_dict(), 0, GeometryOrigin("oracle"))
        film = find_models(tmp_path / "run")["default"]
        kept = MeasuredFilms(tmp_path / "kept", {})
        kept.psnr_db("pan", film, lambda seed=seed: films.append(seed) or np.full((1, 1), float(seed)))
    assert films == [0, 1]
    assert kept.psnr_db("pan", film, lambda: pytest.fail("measured twice")) == 0.0
