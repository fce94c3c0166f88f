"""What the figure in a picture is, and what is doubtful about it: said, or refused."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from box_person import box_person
from productions import production, run
from test_characters_picture import HEIGHT, KnownDetector, draw, find_nothing, truth_px

from understudy.characters.picture.character import PictureConfig, character_from_picture
from understudy.characters.picture.joints import FigureJoints, joints_from_landmarks
from understudy.characters.picture.legs import complete_legs
from understudy.characters.picture.posture import check_posture, doubts_about
from understudy.core.character import Doubt
from understudy.io.pictures.files import write_png
from understudy.runtime.errors import CharacterError
from understudy.studio.pipeline.stages import casting
from understudy.studio.report.verdicts import _character
from understudy.studio.stage_reports import CharacterReport

GUESSED = FigureJoints(np.zeros((20, 2)), sure=False, guessed=True)


def cut_at(row: int) -> tuple[np.ndarray, np.ndarray, tuple]:
    """The drawn figure above a row: its picture, its cut-out, and what a landmark model sees that knows people."""
    rgba, part = draw()
    landmarks, visibility, metres, body = KnownDetector()(np.ascontiguousarray(rgba[..., :3]))
    return np.ascontiguousarray(rgba[:row, :, :3]), part[:row] >= 0, (landmarks, visibility, metres, body[:row])


def sure_joints(figure: np.ndarray, detection: tuple) -> FigureJoints:
    return replace(joints_from_landmarks(detection, figure), sure=True)


def four_legged(
    tall: int, body: tuple[int, int, int, int], legs: list[int], head: tuple[int, int, int, int], leg: int
) -> np.ndarray:
    """A silhouette of an animal from the side: an ellipse on legs, and a head on a neck; 700 wide."""
    mask = np.zeros((tall, 700), np.uint8)
    x, y, half_width, half_height = body
    for at in legs:
        cv2.line(mask, (at, y), (at + 8, tall - 40), 1, leg)
        cv2.ellipse(mask, (at + 14, tall - 40), (leg // 2 + 8, 12), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (x, y), (half_width, half_height), 0, 0, 360, 1, -1)
    cv2.line(mask, (x + half_width - 30, y - 10), head[:2], 1, max(20, half_height // 2))
    cv2.ellipse(mask, head[:2], head[2:], 0, 0, 360, 1, -1)
    return mask > 0


BEASTS = {
    "dog": four_legged(500, (330, 220, 190, 75), [190, 250, 430, 480], (590, 110, 75, 42), 36),
    "horse": four_legged(700, (330, 290, 190, 90), [190, 240, 440, 480], (610, 100, 80, 40), 34),
    "badger": four_legged(380, (340, 200, 230, 70), [160, 220, 480, 530], (620, 150, 65, 45), 40),
    "elephant": four_legged(620, (320, 250, 220, 150), [180, 260, 400, 470], (570, 210, 90, 95), 80),
    "bear": four_legged(480, (310, 230, 190, 115), [180, 240, 400, 460], (520, 170, 85, 70), 66),
}


@pytest.mark.parametrize("name", BEASTS)
@pytest.mark.parametrize("mirrored", [False, True])
def test_four_legs_are_refused_with_what_would_help(name, mirrored):
    figure = np.pad(BEASTS[name][:, ::-1] if mirrored else BEASTS[name], 20)
    for joints in (None, GUESSED, replace(GUESSED, guessed=False)):
        with pytest.raises(CharacterError, match=r"four legs, or lies; give .* upright .*\(--joints\), or a rig"):
            check_posture("rex.png", figure, None, joints)


def upright_shapes() -> dict[str, np.ndarray]:
    """Silhouettes of two-legged figures that are broad."""
    robot, dwarf, spread = (np.zeros((500, 600), np.uint8) for _ in range(3))
    cv2.rectangle(robot, (170, 30), (430, 190), 1, -1)
    for points in (((240, 200), (360, 340)), ((255, 340), (285, 470)), ((315, 340), (345, 470))):
        cv2.rectangle(robot, *points, 1, -1)
    cv2.rectangle(robot, (20, 215), (580, 245), 1, -1)
    cv2.ellipse(dwarf, (300, 230), (150, 160), 0, 0, 360, 1, -1)
    cv2.circle(dwarf, (300, 70), 65, 1, -1)
    for x in (230, 370):
        cv2.line(dwarf, (x, 350), (x, 470), 1, 60)
    cv2.ellipse(spread, (300, 90), (45, 55), 0, 0, 360, 1, -1)
    cv2.line(spread, (300, 130), (300, 300), 1, 90)
    for hand, foot in (((60, 120), (150, 470)), ((540, 120), (450, 470))):
        cv2.line(spread, (300, 170), hand, 1, 40)
        cv2.line(spread, (300, 290), foot, 1, 45)
    return {"robot": robot > 0, "dwarf": dwarf > 0, "spread": spread > 0}


@pytest.mark.parametrize("name", ["robot", "dwarf", "spread"])
def test_broad_figures_on_two_legs_are_taken(name):
    figure = upright_shapes()[name]
    check_posture("robot.png", figure, None, GUESSED)


@pytest.mark.parametrize("row", [205, 240, 260])
def test_a_bust_is_refused(row):
    _, figure, detection = cut_at(row)
    for joints in (None, sure_joints(figure, detection), GUESSED):
        with pytest.raises(CharacterError, match=r"head and shoulders; give a picture of the whole figure"):
            check_posture("queen.png", figure, detection, joints)
    with pytest.raises(CharacterError, match="whole figure"):
        check_posture("queen.png", figure, None, None)


@pytest.mark.parametrize(("row", "level"), [(390, "poor"), (440, "fair")])
def test_legs_that_were_made_up_are_said(row, level):
    rgb, figure, detection = cut_at(row)
    joints = sure_joints(figure, detection)
    check_posture("half.png", figure, detection, joints)
    longer = complete_legs(rgb, figure, joints)[1]
    (doubt,) = doubts_about(figure, joints, len(longer) > len(figure), by_hand=False)
    assert doubt.level == level and "made up" in doubt.sentence and "whole figure" in doubt.sentence
    # By hand or not: the legs are made up all the same.
    assert len(doubts_about(figure, joints, True, by_hand=True)) == 1


def test_a_figure_cut_off_where_nobody_is_seen_is_refused():
    """A silhouette's joints are those of a whole figure: on half a one they lie wrong."""
    _, figure, _ = cut_at(330)
    with pytest.raises(CharacterError, match="cut off"):
        check_posture("half.png", figure, None, GUESSED)


def test_a_gown_is_said():
    _, figure, detection = cut_at(HEIGHT)
    joints = sure_joints(figure, detection)
    assert doubts_about(figure, joints, False, by_hand=False) == ()
    skirt = figure.astype(np.uint8)
    cv2.fillConvexPoly(skirt, np.array([[170, 300], [250, 300], [320, 565], [100, 565]], np.int32), 1)
    (doubt,) = doubts_about(skirt > 0, joints, False, by_hand=False)
    assert doubt.level == "poor" and "gown" in doubt.sentence
    assert doubts_about(skirt > 0, joints, False, by_hand=True) == ()


@pytest.mark.parametrize(("change", "word"), [({"guessed": True, "sure": False}, "outline"), ({"sure": False}, "sure")])
def test_joints_that_may_be_wrong_are_said(change, word):
    _, figure, detection = cut_at(HEIGHT)
    joints = replace(sure_joints(figure, detection), **change)
    (doubt,) = doubts_about(figure, joints, False, by_hand=False)
    assert doubt.level == "fair" and word in doubt.sentence and "--joints" in doubt.sentence


def by_hand(factor: float = 1.0) -> str:
    names = [f"{s}_{n}" for s in ("left", "right") for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]
    places = {"head_top": np.array([210.0, 38.0])} | {name: truth_px(name) for name in names}
    return json.dumps({name: (factor * place).tolist() for name, place in places.items()})


def test_joints_of_another_picture_are_refused(tmp_path):
    write_png(tmp_path / "a.png", draw()[0])
    for factor in (3.0, 0.2):
        (tmp_path / "joints.json").write_text(by_hand(factor))
        with pytest.raises(CharacterError, match="of this very picture"):
            character_from_picture(tmp_path / "a.png", find_nothing, PictureConfig(joints=tmp_path / "joints.json"))


def test_doubt_goes_to_the_log_the_report_and_the_exit_code(tmp_path, monkeypatch):
    doubts = (Doubt("Its tail was made up."), Doubt("Its wings were guessed.", "poor"))
    made = iter([replace(box_person(), doubts=doubts), box_person()])
    monkeypatch.setattr(casting, "FigureLandmarks", lambda: find_nothing)
    monkeypatch.setattr(casting, "character_from_picture", lambda *given: next(made))
    write_png(tmp_path / "a.png", draw()[0])

    def cast(**options) -> tuple[list[str], CharacterReport]:
        film = production(tmp_path / "film", characters=[tmp_path / "a.png"], **options)
        try:
            return film.narrator.said, run(casting.CASTING, film)
        finally:
            film.project.close()

    for _ in range(2):  # Said again where nothing has to be made anew.
        said, report = cast()
        assert said == ["the character: Its tail was made up.", "the character: Its wings were guessed."]
    verdict = _character(report)
    assert verdict.level == "poor" and verdict.sentence.endswith("Its tail was made up. Its wings were guessed.")
    with pytest.raises(
        CharacterError, match=r"a.png leaves doubt \(--strict\): Its tail was made up. Its wings"
    ) as caught:
        cast(strict=True)
    assert caught.value.exit_code == 2
    write_png(tmp_path / "a.png", draw()[0][::-1])
    said, report = cast(strict=True)
    assert said == [] and _character(report).level != "poor"


@pytest.mark.slow
@pytest.mark.shared
def test_real_pictures(shared_data):
    """No figure on two legs is refused; the doubtful ones are said to be."""
    doubtful = {"block_robot", "panda_hood_chibi", "pink_hair_comic", "teal_angel"}
    detect = casting.FigureLandmarks()
    for path in sorted((shared_data / "characters").glob("*.*")):
        doubts = character_from_picture(path, detect).doubts
        assert bool(doubts) == (path.stem in doubtful), (path.name, doubts)
    with pytest.raises(CharacterError, match="head and shoulders"):
        character_from_picture(shared_data / "faults/head_and_shoulders.png", detect)
    (doubt,) = character_from_picture(shared_data / "faults/half_body.png", detect).doubts
    assert doubt.level == "poor" and "made up" in doubt.sentence
