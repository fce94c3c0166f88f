"""What moves by itself beside the actor stays whole in the clean plate; the actor and the actor's shadow go."""

from fractions import Fraction

import numpy as np
import pytest

from understudy.decompose.plate import PlateConfig, clean_frames
from understudy.decompose.plate_blend import BlendConfig
from understudy.decompose.plate_holes import HoleTally
from understudy.decompose.plate_shadow import Beside, ShadowZone, veil
from understudy.decompose.plate_things import sort_out
from understudy.io.encoding import VideoWriter
from understudy.io.video import open_shot
from understudy.synthetic.moving_things import ThingShot, figures, rough

ROWS, COLUMNS = 90, 160
GROUND = np.array([150.0, 140.0, 120.0], np.float32)
UMBRA = np.array([0.62, 0.68, 0.74], np.float32)


@pytest.mark.parametrize(
    ("thing", "move", "altered_percent", "shadow_db"),
    [("bird", "static", 3.0, 23.0), ("cloud", "rotation", 4.0, 19.0), ("bird", "parallax", 5.0, 23.0)],
)
def test_what_moves_by_itself_stays_and_the_shadow_goes(tmp_path, thing, move, altered_percent, shadow_db):
    filmed = ThingShot(thing, move, width=320, height=180, frames=24, frame_rate=10)
    moments = list(filmed.moments())
    with (
        VideoWriter(tmp_path / "shot.mkv", 320, 180, Fraction(10), "lossless") as film,
        VideoWriter(tmp_path / "mask.mkv", 320, 180, Fraction(10), "mask") as masks,
    ):
        for moment in moments:
            film.write(moment.picture)
            masks.write(rough(moment.mask))
    shot, tally = open_shot(tmp_path / "shot.mkv"), HoleTally()
    plate = list(clean_frames(shot, [tmp_path / "mask.mkv"], filmed.solution(), PlateConfig(), tally))
    found = figures(moments, [frame.picture for frame in plate])
    assert found.thing_altered_percent < altered_percent
    assert found.shadow_db > shadow_db
    for frame, moment in zip(plate, moments, strict=True):
        assert np.array_equal(frame.picture[frame.removed == 0], moment.picture[frame.removed == 0])


def walk(count: int = 30) -> list[Beside]:
    """Somebody walks to the right over even ground and throws a shadow to the right."""
    frames = []
    for time in range(count):
        small = np.tile(GROUND, (ROWS, COLUMNS, 1))
        x = 30 + 2 * time
        person, hole = np.zeros((2, ROWS, COLUMNS), bool)
        person[30:70, x - 4 : x + 4] = True
        hole[29:72, x - 5 : x + 5] = True
        small[66:70, x + 3 : x + 28] *= UMBRA
        small[person] = [60, 70, 160]
        frames.append(Beside(small, np.tile(GROUND, (ROWS, COLUMNS, 1)), np.ones((ROWS, COLUMNS), bool), person, hole))
    return frames


def zone_of(frames: list[Beside]) -> ShadowZone:
    zone = ShadowZone()
    for frame in frames:
        zone.add(frame)
    zone.settle()
    return zone


def shadow(time: int) -> tuple[slice, slice]:
    x = 30 + 2 * time
    return np.s_[66:70, x + 6 : x + 27]


def test_a_shadow_is_found_where_it_always_lies():
    frames = walk()
    zone = zone_of(frames)
    assert zone.found
    place = zone.place(frames[12].hole)
    assert place[shadow(12)].mean() > 0.95
    assert place.sum() < 3 * 4 * 25
    sorted_out = list(sort_out(frames, zone, BlendConfig(), 8))
    assert len(sorted_out) == len(frames)
    for time, moved in enumerate(sorted_out):
        assert moved.taken[shadow(time)].mean() > 0.95
        assert not moved.things.any() and moved.light is None


def test_a_dark_thing_that_crosses_the_shadow_stays():
    frames = walk()
    where = [np.s_[58:70, 130 - 3 * time : 140 - 3 * time] for time in range(30)]
    for frame, place in zip(frames, where, strict=True):
        frame.small[place][~frame.person[place]] = [25, 24, 30]
    for time, moved in enumerate(sort_out(frames, zone_of(frames), BlendConfig(), 8)):
        visible = ~frames[time].hole[where[time]]
        if visible.any():
            assert (moved.taken[where[time]] & visible).sum() <= 0.06 * visible.sum()
            assert moved.things[where[time]][visible].mean() > 0.9


def test_what_is_held_goes_and_what_was_seen_alone_does_not():
    frames = walk()
    for time, frame in enumerate(frames):
        x = 30 + 2 * time
        frame.small[40:44, x + 4 : x + 16] = [220, 30, 30]  # in the hand for the whole shot
        frame.small[44:52, 83:91][~frame.person[44:52, 83:91]] = [30, 200, 30]  # comes, waits behind, and stays there
    for time, moved in enumerate(sort_out(frames, zone_of(frames), BlendConfig(), 8)):
        x = 30 + 2 * time
        held = moved.taken[40:44, x + 6 : x + 15]
        waits = moved.taken[45:51, 84:90]
        if abs(x - 87) > 24:
            assert held.mean() > 0.9
        assert waits.mean() < 0.1


def test_what_flashes_out_of_reach_is_left():
    frames = walk()
    frames[10].small[5:15, 120:150] = 250.0
    moved = list(sort_out(frames, zone_of(frames), BlendConfig(), 8))[10]
    assert not moved.taken[:20].any()


def test_the_shadow_of_a_cloud_is_light_and_nothing_that_goes():
    frames = walk()
    for time, frame in enumerate(frames):
        frame.small[:, max(4 * time - 20, 0) : 4 * time + 20] *= 0.8
    zone = zone_of(frames)
    under = frames[12]
    light = veil(under, zone.place(under.hole))
    assert light is not None
    # Behind the actor too: 0.8 in sRGB is about 0.8 ^ 2.2 of the light.
    assert np.abs(light[under.person] - 0.8**2.2).max() < 0.12
    for time, moved in enumerate(sort_out(frames, zone, BlendConfig(), 8)):
        away = np.ones((ROWS, COLUMNS), bool)
        x = 30 + 2 * time
        away[25:76, x - 10 : x + 34] = False
        assert moved.taken[away].mean() < 0.005


def test_nothing_is_found_where_no_feet_are_seen():
    frames = walk(6)
    cut = [Beside(f.small[:60], f.clean[:60], f.known[:60], f.person[:60], f.hole[:60]) for f in frames]
    zone = zone_of(cut)
    assert not zone.found and not zone.place(cut[0].hole).any()
    assert len(list(sort_out(cut, zone, BlendConfig()))) == 6
