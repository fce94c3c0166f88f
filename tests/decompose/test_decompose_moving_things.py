"""What moves by itself beside the actor stays whole in the clean plate; the actor and the actor's shadow go."""

from fractions import Fraction

import numpy as np
import pytest

from understudy.decompose.plate.blend import BlendConfig
from understudy.decompose.plate.clean_plate import PlateConfig, clean_frames
from understudy.decompose.plate.holes import Holes, HoleTally, holes_with_moved
from understudy.decompose.plate.moving_things import MovedRegions, sort_moved_regions
from understudy.decompose.plate.shadow import Comparison, ShadowZone, wide_shadow
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot
from understudy.synthetic.films.moving_things import ThingShot, figures, rough

ROWS, COLUMNS = 90, 160
GROUND = np.array([150.0, 140.0, 120.0], np.float32)
UMBRA = np.array([0.62, 0.68, 0.74], np.float32)


@pytest.mark.parametrize(
    ("thing", "move", "altered_percent", "shadow_db"),
    [
        ("bird", "static", 2.0, 23.0),
        pytest.param("flag", "rotation", 2.0, 33.0, marks=pytest.mark.slow),
        pytest.param("cloud", "rotation", 2.5, 28.0, marks=pytest.mark.slow),
        pytest.param("ball", "parallax", 2.5, 31.0, marks=pytest.mark.slow),
    ],
)
def test_what_moves_by_itself_stays_and_the_shadow_goes(tmp_path, thing, move, altered_percent, shadow_db):
    width, height, count, rate = (256, 144, 12, 10) if move == "static" else (480, 270, 36, 15)
    filmed = ThingShot(thing, move, width, height, frames=count, frame_rate=rate)
    moments = list(filmed.moments())
    with (
        VideoWriter(tmp_path / "shot.mkv", width, height, Fraction(rate), "lossless") as film,
        VideoWriter(tmp_path / "mask.mkv", width, height, Fraction(rate), "mask") as masks,
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


def walk(count: int = 30) -> list[Comparison]:
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
        frames.append(
            Comparison(small, np.tile(GROUND, (ROWS, COLUMNS, 1)), np.ones((ROWS, COLUMNS), bool), person, hole)
        )
    return frames


def zone_of(frames: list[Comparison]) -> ShadowZone:
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
    sorted_out = list(sort_moved_regions(frames, zone, BlendConfig(), 8))
    assert len(sorted_out) == len(frames)
    for time, moved in enumerate(sorted_out):
        assert moved.taken[shadow(time)].mean() > 0.95
        assert not moved.things.any() and moved.light is None


def test_a_dark_thing_that_crosses_the_shadow_stays():
    frames = walk()
    where = [np.s_[58:70, 130 - 3 * time : 140 - 3 * time] for time in range(30)]
    for frame, place in zip(frames, where, strict=True):
        frame.small[place][~frame.person[place]] = [25, 24, 30]
    for time, moved in enumerate(sort_moved_regions(frames, zone_of(frames), BlendConfig(), 8)):
        visible = ~frames[time].hole[where[time]]
        if visible.any():
            assert (moved.taken[where[time]] & visible).sum() <= 0.06 * visible.sum()
            assert moved.things[where[time]][visible].mean() > 0.9


BALL = np.hypot(*np.mgrid[-5:6, -5:6]) < 5.5


def ball(time: int) -> tuple[slice, slice]:
    """A ball that bounces before the actor: it leaps up at once where it fell fast."""
    y, x = round(38 + 28 * abs(np.sin(2.2 * np.pi * time / 29 + 1.1))), 145 - 4 * time
    return np.s_[y - 5 : y + 6, x - 5 : x + 6]


def test_a_bouncing_ball_stays_before_the_actor_and_beside_the_shadow():
    frames = walk()
    colours = np.where(np.arange(11)[:, None, None] % 4 < 2, [[[230.0, 230, 225]]], [[[30.0, 60, 140]]])
    for time, frame in enumerate(frames):
        place = ball(time)
        frame.small[place][BALL] = np.broadcast_to(colours, (11, 11, 3))[BALL]
        frame.person[place] &= ~BALL
    for time, moved in enumerate(sort_moved_regions(frames, zone_of(frames), BlendConfig(), 8)):
        assert moved.things[ball(time)][BALL].mean() > 0.85
        assert not moved.taken[ball(time)][BALL].any()
        alone = np.ones((ROWS, COLUMNS), bool)
        alone[ball(time)] = False
        # No sliver of the shadow stays behind with it.
        assert (moved.taken | frames[time].hole | ~alone)[shadow(time)].mean() > 0.95


def test_the_shadow_of_a_thing_leaves_none_of_the_actor_s_behind():
    frames = walk()
    for time, frame in enumerate(frames):
        x = 140 - 4 * time
        frame.small[68:73, max(x - 8, 0) : max(x + 8, 0)] = GROUND * UMBRA
    for time, moved in enumerate(sort_moved_regions(frames, zone_of(frames), BlendConfig(), 8)):
        assert (moved.taken | frames[time].hole)[shadow(time)].mean() > 0.95


def test_what_stays_is_cut_out_of_the_growth_of_the_mask():
    moved = MovedRegions(np.zeros((4, 6), bool), np.zeros((4, 6), bool))
    moved.things[:, :3] = True
    moved.taken[3, :] = True
    hole, person, core = np.zeros((3, 8, 12), bool)
    hole[:, 4:], person[:, 5:], core[:, 7:] = True, True, True
    parts = holes_with_moved(Holes(hole, np.zeros_like(hole), person, core), moved, 2)
    assert not parts.hole[:5, :6].any() and parts.others[:5, :6].all()
    assert parts.hole[:, 8:].all() and not (parts.others & core).any()
    # What goes keeps its place where both meet.
    assert parts.hole[7].all()


def test_what_is_held_goes_and_what_was_seen_alone_does_not():
    frames = walk()
    for time, frame in enumerate(frames):
        x = 30 + 2 * time
        frame.small[40:44, x + 4 : x + 16] = [220, 30, 30]  # in the hand for the whole shot
        frame.small[44:52, 83:91][~frame.person[44:52, 83:91]] = [30, 200, 30]  # comes, waits behind, and stays there
    for time, moved in enumerate(sort_moved_regions(frames, zone_of(frames), BlendConfig(), 8)):
        x = 30 + 2 * time
        held = moved.taken[40:44, x + 6 : x + 15]
        waits = moved.taken[45:51, 84:90]
        if abs(x - 87) > 24:
            assert held.mean() > 0.9
        assert waits.mean() < 0.1


def test_what_flashes_out_of_reach_is_left():
    frames = walk()
    frames[10].small[5:15, 120:150] = 250.0
    moved = list(sort_moved_regions(frames, zone_of(frames), BlendConfig(), 8))[10]
    assert not moved.taken[:20].any()


def test_the_shadow_of_a_cloud_is_light_and_nothing_that_goes():
    frames = walk()
    for time, frame in enumerate(frames):
        frame.small[:, max(4 * time - 20, 0) : 4 * time + 20] *= 0.8
    zone = zone_of(frames)
    under = frames[12]
    light = wide_shadow(under, zone.place(under.hole))
    assert light is not None
    # Behind the actor too: 0.8 in sRGB is about 0.8 ^ 2.2 of the light.
    assert np.abs(light[under.person] - 0.8**2.2).max() < 0.12
    for time, moved in enumerate(sort_moved_regions(frames, zone, BlendConfig(), 8)):
        away = np.ones((ROWS, COLUMNS), bool)
        x = 30 + 2 * time
        away[25:76, x - 10 : x + 34] = False
        assert moved.taken[away].mean() < 0.005


def test_nothing_is_found_where_no_feet_are_seen():
    frames = walk(6)
    cut = [Comparison(f.small[:60], f.clean[:60], f.known[:60], f.person[:60], f.hole[:60]) for f in frames]
    zone = zone_of(cut)
    assert not zone.found and not zone.place(cut[0].hole).any()
    assert len(list(sort_moved_regions(cut, zone, BlendConfig()))) == 6
