"""The stages as data: their order, what they read and make, their reports and settings."""

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from productions import a_shot, production

from understudy.core.passes import Passes
from understudy.decompose.people.find import PeopleConfig
from understudy.runtime.errors import InputError
from understudy.studio.pipeline.artifact import Role, Scope
from understudy.studio.pipeline.artifacts import CAMERA, CHARACTER, MATTE, PERFORMANCE
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.order import STAGES, artifact_of, in_cuts, markdown_table, stage_named
from understudy.studio.pipeline.production import Production
from understudy.studio.pipeline.stage import Stage, plain
from understudy.studio.pipeline.stages.casting import CASTING
from understudy.studio.pipeline.stages.decomposing import BODY, FIND_PEOPLE, MATTING, PLATE
from understudy.studio.pipeline.stages.finishing import RENDERING, _numbered
from understudy.studio.project import Project, StageRecord

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_reads_only_what_earlier_stages_made(stage: Stage):
    before = [artifact for earlier in STAGES[: STAGES.index(stage)] for artifact in earlier.makes]
    # The matte that a user has edited is read by the stages before the one that makes it.
    assert set(stage.reads) - set(before) <= {MATTE}
    assert stage.makes and stage.what.endswith(".")
    assert is_dataclass(stage.settings(RecastConfig())) and is_dataclass(stage.report_type)
    assert isinstance(stage.settings(RecastConfig()), stage.settings_type)


def test_names_and_files_are_each_ones_own():
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    made = [name for stage in STAGES for output in stage.outputs.values() for name in output.templates]
    assert len(set(made)) == len(made)


def test_several_characters_and_cuts_have_files_of_their_own():
    second = Scope("cut_02/", Role(3, 2), camera="fitted")
    names = [second.named(artifact.name) for artifact in (CHARACTER, PERFORMANCE, MATTE, CAMERA)]
    assert names == [
        "character_2/character.glb", "cut_02/performance_2/motion.npz", "cut_02/actors/3/mask.mkv",
        "cut_02/camera/fitted.json",
    ]  # fmt: skip
    assert artifact_of("cut_02/actors/3/mask.mkv") is MATTE and artifact_of("performance_2/motion.bvh") is PERFORMANCE
    assert artifact_of("actors/one/mask.mkv") is None and artifact_of("holiday.jpg") is None
    with pytest.raises(ValueError, match="actor"):
        Scope().named(MATTE.name)


def test_stages_stop_where_the_user_says():
    groups = list(in_cuts("camera-fit"))
    assert [are_of_cuts for are_of_cuts, _ in groups] == [False, True]
    assert [stage.name for _, group in groups for stage in group][-2:] == ["retarget", "camera fit"]
    assert [stage for _, group in in_cuts() for stage in group] == list(STAGES)
    with pytest.raises(InputError, match="there is no stage 'paint'; give one of character, cuts, people"):
        stage_named("paint")


def test_the_table_in_the_documentation_is_the_pipeline():
    assert markdown_table() in (DOCS / "pipeline.md").read_text(encoding="utf-8")


def people_found(film, count: int) -> None:
    """As the people stage leaves them, the second one's matte edited."""
    names = {f"people/person_{number}.mkv": "0" * 64 for number in range(1, count + 1)}
    film.project.stages["people"] = StageRecord("", {}, names, 0.0)
    for name in (*names, *(f"actors/{number}/mask.mkv" for number in range(1, count + 1))):
        film.path(name).parent.mkdir(parents=True, exist_ok=True)
        film.path(name).write_bytes(name.encode())


def test_the_plate_of_one_actor_is_not_that_of_another(tmp_path):
    film = production(tmp_path / "film")
    people_found(film, 2)
    first = PLATE.reading(film, Scope())
    second = PLATE.reading(replace(film, config=RecastConfig(actor=2)), Scope())
    assert first.files == second.files and first.says != second.says
    film.project.close()


class TwoRoles(Production):
    """The second person is replaced by a second character."""

    @property
    def roles(self) -> tuple[Role, ...]:
        return (Role(1, 1), Role(2, 2))


def test_several_actors_may_be_replaced(tmp_path):
    film = TwoRoles(Project(tmp_path / "film"), a_shot(), (Path("hero.png"), Path("villain.glb")))
    people_found(film, 3)
    scopes = film.scopes("actor", film.cuts[0])
    assert [BODY.key(scope, film) for scope in scopes] == ["body", "body 2"]
    assert [CASTING.key(scope, film) for scope in film.scopes("character")] == ["character", "character 2"]
    mine, theirs = ([name for name in MATTING.reading(film, scope).files if "person_" in name] for scope in scopes)
    assert mine == ["people/person_1.mkv", "people/person_2.mkv", "people/person_3.mkv"]
    assert theirs == ["people/person_2.mkv", "people/person_1.mkv", "people/person_3.mkv"]
    rendered = RENDERING.reading(film, Scope()).files
    assert {"performance/motion.npz", "performance_2/motion.npz", "character_2/character.glb"} <= set(rendered)
    film.project.close()


def test_performances_keep_their_numbers_where_others_are_not_there():
    flat, vectors = np.zeros((1, 3), np.float32), np.zeros((1, 3, 3), np.float32)
    ids = np.array([[0, 1, 2]], np.uint8)
    passes = Passes(colour=vectors, alpha=flat, shadow=flat, depth_m=flat, normals=vectors, ids=ids, id_share=flat)
    assert _numbered(passes, (False, True, True)).ids.tolist() == [[0, 2, 3]]
    assert _numbered(passes, (True, True)) is passes


def test_an_edited_matte_stands_for_the_rough_one(tmp_path):
    film = production(tmp_path / "film")
    people_found(film, 2)
    film.project.edits = ["actors/1/mask.mkv"]
    assert [name for name in PLATE.reading(film, Scope()).files if name.endswith(".mkv")] == [
        "actors/1/mask.mkv", "people/person_2.mkv",
    ]  # fmt: skip
    film.project.close()


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"people": "many"},
        {"people": 1, "seen": 1, "centre_px": [[0, 0]]},
        {"people": 2, "seen": [1.0], "centre_px": [[0, 0]]},
    ],
)
def test_a_report_of_another_kind_is_none(report):
    assert FIND_PEOPLE.report_in(StageRecord("", {}, {}, 0.0, report)) is None


def test_reports_come_back_with_their_types():
    for stage in STAGES:
        assert "dict" not in str(stage.report_type) and fields(stage.report_type) is not None
    report = FIND_PEOPLE.report_in(
        StageRecord("", {}, {}, 0.0, {"people": 1, "seen": [0.5], "centre_px": [[3.0, 4.0]]})
    )
    assert report is not None and report.centre_px == [(3.0, 4.0)]


def test_figures_that_are_none_are_written_as_none():
    assert json.dumps(plain({"error": float("nan"), "file": Path("a"), "list": (1.0, float("inf"))})) == (
        '{"error": null, "list": [1.0, null]}'
    )


def test_a_stage_runs_again_when_a_setting_of_it_changes_and_only_then(tmp_path):
    """Each field of each stage's configuration reaches the stage."""
    given = RecastConfig(camera_fitter="points")
    usual = {stage.name: plain_settings(stage, given) for stage in STAGES}
    owner = {
        "picture": {"character"}, "cuts": {"cuts"}, "people": {"people"}, "camera": {"camera"}, "plate": {"plate"},
        "mask": {"mask"}, "body": {"body"}, "retarget": {"retarget", "report"}, "points": {"camera fit"},
        "light": {"light"}, "opengl": {"light", "render", "report"}, "look": {"film"},
    }  # fmt: skip
    for name, stages in owner.items():
        config = getattr(RecastConfig(), name)
        for one in fields(config):
            value = getattr(config, one.name)
            if type(value) not in (int, float) or one.name in ("supersampling", "actor"):
                continue  # these follow the usual options
            changed = replace(given, **{name: replace(config, **{one.name: moved(value)})})
            differs = {stage.name for stage in STAGES if plain_settings(stage, changed) != usual[stage.name]}
            assert differs and differs <= stages, (name, one.name)


def moved(value: float) -> float:
    return value * 0.99 if isinstance(value, float) else value - 1 if value > 2 else value + 1


def plain_settings(stage: Stage, config: RecastConfig) -> str:
    return repr(stage.settings(config))


def test_a_draft_and_people_who_stay_do_without_the_heavy_network():
    settings = FIND_PEOPLE.settings
    assert settings(RecastConfig()).network == "heavy" and settings(RecastConfig(actor=2)).actor == 2
    draft = settings(RecastConfig(quality="draft"))
    assert draft.network == "full" and draft == settings(RecastConfig(quality="draft", actor=2))
    chosen = RecastConfig(quality="draft", people=PeopleConfig(network="heavy"))
    assert settings(chosen).network == "heavy"
