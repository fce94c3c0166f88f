"""Measures trained video models on held-out scenes, and writes one page with clips, curves and tables."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from understudy.evaluation.measured_films import MeasuredFilms
from understudy.evaluation.page import Clips, Plot, Table, render_evaluation
from understudy.io.text import replace_text
from understudy.io.weights import ensure_weights
from understudy.metrics.lpips import Lpips
from understudy.runtime.checks import check_option
from understudy.runtime.errors import InputError
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.outputs import scratch_folder, writable_folder
from understudy.studio.project import file_hash
from understudy.videogen.evaluation.contestants import (
    REFERENCES,
    ClipMaker,
    TrainedModel,
    TrueClips,
    find_models,
    reordered,
)
from understudy.videogen.evaluation.evaluate import (
    MEASURED_MOVES,
    CameraFigures,
    ClipFigures,
    EvaluatedClips,
    Evaluation,
    background_psnr,
    measure,
)
from understudy.videogen.sample import GUIDANCE, Sampling
from understudy.videogen.training.curves import read_curves
from understudy.videogen.training.feed import clip_sizes

__all__ = ["EvaluateSceneConfig", "SceneEvaluation", "evaluate_scene"]

SHOWN_CLIPS = 8
ALEXNET = "alexnet-owt-7be5be79.pth"
"""AlexNet's weights as torchvision names and keeps them, with the start of their SHA-256. They are not fetched: whoever
has them knows on which terms."""
PAPER_ROWS = (
    {"method": "FramePack", "PSNR": "11.89", "LPIPS": "0.5505", "RotErr": "–", "TransErr": "–"},
    {"method": "Context-as-Memory", "PSNR": "13.81", "LPIPS": "0.4486", "RotErr": "2.7106", "TransErr": "5.2194"},
    {"method": "Gen3C", "PSNR": "11.63", "LPIPS": "0.6711", "RotErr": "2.9670", "TransErr": "10.1578"},
    {"method": "CineScene", "PSNR": "14.51", "LPIPS": "0.4241", "RotErr": "2.6825", "TransErr": "5.1460"},
    {"method": "CineScene without geometry", "PSNR": "13.76", "LPIPS": "–", "RotErr": "–", "TransErr": "–"},
    {"method": "CineScene, ordered context", "PSNR": "14.02", "LPIPS": "–", "RotErr": "–", "TransErr": "–"},
)
PAPER_NOTE = (
    "From the paper (tables 1 to 3), for orientation only. The two cannot be mixed: theirs are photographic clips of 77"
    " frames by a large pretrained model, and what they do with the subject's pixels is not said; ours are small frames"
    " of our own sets by a model trained from nothing, measured outside the subject on moves at full amplitude."
)


@dataclass(frozen=True)
class EvaluateSceneConfig:
    """How models are measured."""

    ablations: bool = False
    """Measure the variants in the run's sub-folders as well, and what it is without a network."""
    other_pictures: bool = False
    """Measure the run's own model with more and fewer pictures of the set as well, and from another start."""
    clips: int = 16
    """Held-out clips of each move, per seed."""
    seeds: int = 3
    """Each has sets, subjects, paths and noise of its own."""
    posed_clips: int = 4
    """How many of them, per seed, have their cameras searched for; 0: none."""
    pictures: int = 6
    """Of the set, evenly around."""
    steps: int = 20
    """Of sampling: more steps, sharper clips and lower PSNR, so keep to one number."""

    def __post_init__(self) -> None:
        for name, least in (("clips", 1), ("seeds", 1), ("posed_clips", 0), ("pictures", 1), ("steps", 1)):
            check_option(name, getattr(self, name), least, 10_000)
        if self.posed_clips > self.clips:
            raise InputError(f"--posed-clips is {self.posed_clips}; give at most --clips, {self.clips}")

    @property
    def sampling(self) -> Sampling:
        """How films are drawn from the models: in the precision that they are trained in."""
        return Sampling(self.steps, guidance=GUIDANCE, precision=torch.bfloat16)


@dataclass(frozen=True)
class SceneEvaluation:
    """What was measured, and where it is."""

    page: Path
    figures: Path
    """The same tables as JSON."""
    measured: dict[str, dict[str, ClipFigures]]
    """By move, then by film; the first film is the run's own model."""


def evaluate_scene(
    run: Path, out: Path, config: EvaluateSceneConfig | None = None, narrator: Narrator | None = None
) -> SceneEvaluation:
    """Measure the model in `run` and write `evaluation.html` and `evaluation.json` to `out`.

    One that was cut off goes on with the next film when it is called again.

    Raises:
        InputError: there is no model in `run`, one takes fewer pictures of a set, or `out` cannot be written to.
        BackendUnavailable: the weights of its scene encoder are absent.
    """
    config, narrator = config or EvaluateSceneConfig(), narrator or SilentNarrator()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = find_models(run, device, config.sampling)
    main_name = next(iter(found))
    models = found if config.ablations else {main_name: found[main_name]}
    _check_pictures(models, config.pictures)
    writable_folder(out)
    lpips = _lpips(device)
    references = REFERENCES if config.ablations else {"truth": TrueClips()}
    makers: dict[str, ClipMaker] = {**models, **references}
    configs = {name: models.get(name, found[main_name]).saved.model.config for name in makers}
    sizes = {name: clip_sizes(config_of, config.pictures) for name, config_of in configs.items()}
    evaluation = Evaluation(config.clips, tuple(range(config.seeds)), config.posed_clips)
    settings = {
        "config": replace(config, ablations=False, other_pictures=False),
        "sampling": config.sampling,
        "lpips": lpips is not None,
    }
    kept = MeasuredFilms(scratch_folder(out), settings)

    measured: dict[str, dict[str, ClipFigures]] = {}
    takes: dict[str, dict[str, EvaluatedClips]] = {}
    for move, mix in MEASURED_MOVES.items():
        measured[move], takes[move] = {}, {}
        for name, maker in makers.items():
            searched = name in models or name == "truth"
            title = f"{move}, {name}"
            with narrator.stage(title) as progress:
                work = partial(measure, maker, sizes[name], mix, evaluation, searched, progress, lpips)
                measured[move][name], takes[move][name] = kept.figures(title, maker, work)
    asides = _asides(found[main_name], config, evaluation, kept, narrator) if config.other_pictures else []

    tables = _tables(measured, main_name, models, config.seeds, asides)
    plots = [_psnr_plot(move, by_film) for move, by_film in measured.items()] + _training_plots(run, models)
    clips = [_clips(move, takes[move]) for move in measured]
    guides = " and ".join(f"by {name} {scale:g}" for name, scale in config.sampling.guidance.items())
    facts = (
        f"{config.seeds} × {config.clips} held-out clips of each move at full amplitude, {config.steps} Euler steps,"
        f" guidance {guides}, {config.pictures} pictures of the set. Numbers are means over clips, in brackets the"
        " lowest and the highest of the seeds. Background figures leave out the subject and its shadow."
    )
    if lpips is None:
        facts += f" LPIPS was not measured: {ALEXNET} of torchvision is not in the folder of torch.hub."
    result = SceneEvaluation(out / "evaluation.html", out / "evaluation.json", measured)
    replace_text(result.page, render_evaluation("Scenes filmed by models", facts, tables, plots, clips))
    document = {"facts": facts, "tables": {table.title: list(table.rows) for table in tables}}
    replace_text(result.figures, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    kept.forget()
    return result


def _check_pictures(models: Mapping[str, TrainedModel], pictures: int) -> None:
    for name, model in models.items():
        most = model.saved.model.config.numbered_pictures
        if most and pictures > most:
            raise InputError(f"--pictures is {pictures}; the variant {name} numbers its pictures: give {most} or fewer")


def _lpips(device: str) -> Lpips | None:
    """The network of LPIPS, if the user has AlexNet's weights. Raises InputError when they are damaged."""
    trunk = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET
    if not trunk.is_file():
        return None
    if not file_hash(trunk).startswith(trunk.stem.rpartition("-")[2]):
        raise InputError(f"{trunk} is damaged; delete it, or fetch it again from download.pytorch.org/models/{ALEXNET}")
    parts = (trunk, ensure_weights("lpips") / "alex.pth")
    return Lpips(*(torch.load(part, map_location="cpu", weights_only=True) for part in parts)).to(device)


def _asides(
    model: TrainedModel,
    config: EvaluateSceneConfig,
    evaluation: Evaluation,
    kept: MeasuredFilms,
    narrator: Narrator,
) -> list[dict[str, str]]:
    """What happens with other pictures of the set than the model was trained with."""
    cases: dict[str, tuple[ClipMaker, int]] = {f"{count} pictures": (model, count) for count in (3, 4, 8, 12)}
    cases |= {name: (maker, config.pictures) for name, maker in reordered(model, config.pictures).items()}
    numbered = model.saved.model.config.numbered_pictures
    rows = []
    for name, (maker, count) in cases.items():
        if numbered and count > numbered:
            continue
        row = {"pictures of the set": name}
        for move, mix in MEASURED_MOVES.items():
            title = f"{move}, {name}"
            with narrator.stage(title) as progress:
                sizes = clip_sizes(model.saved.model.config, count)
                work = partial(background_psnr, maker, sizes, mix, evaluation, progress)
                psnr_db = kept.psnr_db(title, model, work)
            row |= {f"{move}: PSNR": _text(psnr_db.mean(1), config.seeds)}
            row |= {f"{move}: last frame": _text(psnr_db[:, -1], config.seeds)}
        rows.append(row)
    return rows


def _tables(
    measured: Mapping[str, Mapping[str, ClipFigures]],
    main_name: str,
    models: Mapping[str, TrainedModel],
    seeds: int,
    asides: list[dict[str, str]],
) -> list[Table]:
    tables = []
    for move, by_film in measured.items():
        rows = [{"film": name, **_picture_row(figures, seeds)} for name, figures in by_film.items()]
        tables.append(Table(f"{move}: the set and the camera", "", rows))
    rows = [
        {"film": name, "move": move, **_subject_row(by_film[name], seeds)}
        for move, by_film in measured.items()
        for name in [*models, "truth"]
    ]
    note = "Found by our generator's own segmentation, which is right only where the set is drawn right."
    tables.append(Table("The subject", note, rows))
    if len(models) > 1:
        rows = []
        for name in list(models)[1:]:
            row = {f"{main_name} over": name}
            for move, by_film in measured.items():
                main, other = by_film[main_name], by_film[name]
                row[f"{move}: mean"] = _text((main.psnr_db - other.psnr_db).mean(1), seeds)
                row[f"{move}: last frame"] = _text((main.psnr_db - other.psnr_db)[:, -1], seeds)
                row[f"{move}: uncovered"] = _text(main.uncovered_db - other.uncovered_db, seeds)
            rows.append(row)
        tables.append(Table("Gains in PSNR, clip by clip, dB", "", rows))
    if asides:
        tables.append(Table("Other pictures of the set", "", asides))
    tables.append(Table("The paper's figures", PAPER_NOTE, PAPER_ROWS))
    return tables


def _picture_row(figures: ClipFigures, seeds: int) -> dict[str, str]:
    row = {
        "PSNR dB": _text(figures.psnr_db.mean(1), seeds),
        "last frame": _text(figures.psnr_db[:, -1], seeds),
        "uncovered": _text(figures.uncovered_db, seeds),
        "SSIM": _text(figures.ssim.mean(1), seeds, 3),
        "LPIPS": "–" if figures.lpips is None else _text(figures.lpips.mean(1), seeds, 3),
        "mirrored path nearer to its own by, dB": _text(figures.mirrored_gain_db, seeds),
    }
    camera = figures.camera
    names: dict[str, Callable[[CameraFigures], Float[np.ndarray, " clip"]]] = {
        "rotation error, last, °": lambda camera: camera.last_rotation_deg,
        "distance, last, m": lambda camera: camera.last_distance_m,
        "RotErr": lambda camera: camera.rotation_sum_rad,
        "TransErr": lambda camera: camera.translation_sum,
        "CamMC": lambda camera: camera.cam_mc,
    }
    return row | {name: "–" if camera is None else _text(value(camera), seeds, 2) for name, value in names.items()}


def _subject_row(figures: ClipFigures, seeds: int) -> dict[str, str]:
    subject = figures.subject
    # Standing still is an action too: of those that appear, the truth's own share moves.
    both = np.where(np.isnan(subject.present), np.nan, subject.present * np.nan_to_num(subject.moves))
    return {
        "present %": _text(100 * subject.present, seeds, 0),
        "present and moving %": _text(100 * both, seeds, 0),
        "on the side named %": _text(100 * subject.placed, seeds, 0),
        "colours (0.5 by chance)": _text(subject.coloured, seeds, 2),
        "present unasked %": _text(100 * subject.unasked, seeds, 0),
    }


def _text(values: Float[np.ndarray, " clip"], seeds: int, places: int = 1) -> str:
    """The mean, and the lowest and highest mean of a seed; – where nothing could be measured."""
    if not np.isfinite(values).any():
        return "–"
    means = [np.nanmean(part) for part in np.split(values, seeds) if np.isfinite(part).any()]
    mean = f"{np.nanmean(values):.{places}f}"
    return f"{mean} ({min(means):.{places}f} … {max(means):.{places}f})" if len(means) > 1 else mean


def _psnr_plot(move: str, by_film: Mapping[str, ClipFigures]) -> Plot:
    lines = {}
    for name, figures in by_film.items():
        if name != "truth":
            mean = figures.psnr_db.mean(0)
            lines[name] = np.stack([np.arange(len(mean), dtype=float), mean], 1)
    return Plot(f"{move}: PSNR of the background, dB", "frame", "dB", lines)


def _training_plots(run: Path, models: Mapping[str, TrainedModel]) -> list[Plot]:
    """Losses over hours, of the models whose training left curves."""
    lines = {}
    for name in models:
        folder = run / name if (run / name).is_dir() else run
        points = [(line["seconds"] / 3600, line["loss"]) for line in read_curves(folder / "curves.jsonl")]
        if points:
            smooth = np.array(points)
            kernel = np.ones(min(15, len(smooth)))
            weight = np.convolve(np.ones(len(smooth)), kernel, "same")
            smooth[:, 1] = np.convolve(smooth[:, 1], kernel, "same") / weight
            lines[name] = smooth
    return [Plot("Loss of training, smoothed", "hours", "", lines)] if lines else []


def _clips(move: str, takes: Mapping[str, EvaluatedClips]) -> Clips:
    names = ["truth", *(name for name in takes if name != "truth")]
    side = takes["truth"].frames.shape[2]
    rows = {name: takes[name].frames[:SHOWN_CLIPS] for name in names if takes[name].frames.shape[2] == side}
    return Clips(move, rows, takes["truth"].words[:SHOWN_CLIPS])
