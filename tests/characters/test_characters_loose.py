"""Hair, skirts and capes are told from the limbs beside and below them."""

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from understudy.characters.picture.inflate import InflateConfig, inflate_parts
from understudy.characters.picture.joints import POINTS, FigureJoints
from understudy.characters.picture.loose_parts.finding import LooseParts, loose_parts
from understudy.characters.picture.parts import PARTS, FigureGrid, figure_grid, label_parts
from understudy.characters.picture.volume import surface_of_parts

SKIN, HAIR, SHIRT, TROUSERS, RED = (230, 180, 150), (90, 50, 20), (240, 240, 235), (40, 50, 110), (190, 20, 20)
HEAD, TORSO = PARTS.index("head"), PARTS.index("torso")
PLACES = {
    "head_top": (200, 30), "head": (200, 85), "neck": (200, 115), "hips": (200, 250),
    "left_shoulder": (240, 130), "left_elbow": (310, 130), "left_wrist": (370, 130), "left_hand": (390, 130),
    "right_shoulder": (160, 130), "right_elbow": (90, 130), "right_wrist": (30, 130), "right_hand": (10, 130),
    "left_hip": (225, 255), "left_knee": (228, 360), "left_ankle": (230, 460), "left_toe": (232, 475),
    "right_hip": (175, 255), "right_knee": (172, 360), "right_ankle": (170, 460), "right_toe": (168, 475),
}  # fmt: skip


def box(picture: np.ndarray, x: tuple[int, int], y: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.rectangle(picture, (x[0], y[0]), (x[1], y[1]), colour, -1)


def person() -> np.ndarray:
    """A figure in its T-pose over black."""
    picture = np.zeros((490, 400, 3), np.uint8)
    box(picture, (5, 395), (118, 146), SHIRT)
    box(picture, (152, 248), (112, 262), SHIRT)
    box(picture, (150, 196), (262, 480), TROUSERS)
    box(picture, (204, 250), (262, 480), TROUSERS)
    box(picture, (150, 250), (255, 285), TROUSERS)
    cv2.circle(picture, (200, 70), 40, SKIN, -1)
    cv2.ellipse(picture, (200, 62), (42, 40), 0, 180, 360, HAIR, -1)
    return picture


def grid_of(picture: np.ndarray, places: dict = PLACES) -> FigureGrid:
    """The figure on its grid, with its true joints and face."""
    points = np.array([places[name] for name in POINTS], np.float64)
    face = np.array([(200, 80), (190, 68), (186, 68), (182, 68), (210, 68), (214, 68), (218, 68), (165, 75), (235, 75),
                     (192, 95), (208, 95)], np.float64)  # fmt: skip
    return figure_grid(picture, picture.any(-1), FigureJoints(points, face), 150)


def found(picture: np.ndarray, places: dict = PLACES) -> tuple[LooseParts, np.ndarray]:
    """The loose parts, and the picture's pixel at each cell."""
    grid = grid_of(picture, places)
    rows, columns = np.indices(grid.distance.shape) + 0.5
    x = np.clip((grid.origin_px[0] + columns * grid.cell_px).astype(int), 0, picture.shape[1] - 1)
    y = np.clip((grid.origin_px[1] + rows * grid.cell_px).astype(int), 0, picture.shape[0] - 1)
    colours = np.where(grid.mask[..., None], picture[y, x], 0)
    return loose_parts(grid, label_parts(grid)), colours


def share(colours: np.ndarray, colour: tuple[int, int, int], where: np.ndarray) -> float:
    """How much of one colour is there."""
    own = (colours == colour).all(-1)
    return float(where[own].mean())


def test_a_figure_in_shirt_and_trousers_has_nothing_loose():
    loose, colours = found(person())
    assert not loose.skirt.any()
    assert not loose.flat.any()
    assert not loose.sheet.any()
    assert share(colours, TROUSERS, np.isin(loose.labels, [4, 5])) > 0.75


def test_the_guess_of_a_hand_in_a_pocket_takes_no_piece_out_of_the_hips():
    """The bone of a hand that nobody sees may run on across the hips; a limb is one piece."""
    picture = person()
    picture[118:147, :152] = picture[118:147, 249:] = 0
    for left, right in ((100, 140), (260, 300)):
        box(picture, (left, right), (118, 262), SHIRT)
    box(picture, (100, 300), (112, 140), SHIRT)
    arms = {
        "left_elbow": (278, 190), "left_wrist": (268, 240), "left_hand": (262, 250),
        "right_elbow": (122, 190), "right_wrist": (122, 250), "right_hand": (182, 276),
    }  # fmt: skip
    labels = label_parts(grid_of(picture, {**PLACES, **arms}))
    for part in range(2, 6):
        assert ndimage.label(labels == part)[1] == 1, PARTS[part]


def test_a_skirt_is_of_the_torso_and_the_legs_below_it_are_not():
    picture = person()
    cv2.fillPoly(picture, [np.array([(152, 240), (248, 240), (285, 380), (115, 380)])], RED)
    loose, colours = found(picture)
    assert share(colours, RED, loose.labels == TORSO) > 0.97
    assert share(colours, TROUSERS, np.isin(loose.labels, [4, 5])) > 0.9


def test_a_skirt_is_round_down_to_its_hem():
    picture = person()
    cv2.fillPoly(picture, [np.array([(152, 240), (248, 240), (285, 380), (115, 380)])], RED)
    grid = grid_of(picture)
    volumes, _ = inflate_parts(grid, loose_parts(grid, label_parts(grid)))
    torso = volumes["torso"]
    half = np.sqrt(np.maximum(torso.square, 0))
    depth = (half * (torso.front + torso.back)).max(1)
    hem = int((370 - grid.origin_px[1]) / grid.cell_px)
    assert 0.75 < depth[hem] * grid.cell_px / 165 < 0.95


def test_legs_go_on_inside_a_skirt_without_touching_it():
    picture = person()
    cv2.fillPoly(picture, [np.array([(152, 240), (248, 240), (285, 380), (115, 380)])], RED)
    grid = grid_of(picture)
    parts = loose_parts(grid, label_parts(grid))
    volumes, _ = inflate_parts(grid, parts)
    vertices, faces, part_at = surface_of_parts(grid, volumes, InflateConfig(), parts)
    row = -vertices[:, 1]
    roof, hem = (int((y - grid.origin_px[1]) / grid.cell_px) for y in (290, 376))
    inside = (row > roof) & (row < hem)
    legs, cloth = np.isin(part_at, [4, 5]) & inside, (part_at == TORSO) & inside
    assert legs.sum() > 500
    ends = faces[inside[faces].all(1)]
    assert np.array_equal(legs[ends].all(1), legs[ends].any(1))  # no face joins a leg and the cloth
    away, _ = cKDTree(vertices[cloth]).query(vertices[legs])
    assert away.min() > 0.8


def test_a_cape_is_a_part_of_its_own_that_goes_on_behind_the_legs():
    picture, cape = person(), np.zeros((490, 400, 3), np.uint8)
    cv2.fillPoly(cape, [np.array([(160, 130), (240, 130), (310, 420), (90, 420)])], RED)
    picture = np.where(picture.any(-1, keepdims=True), picture, cape)
    loose, colours = found(picture)
    assert share(colours, RED, loose.labels == PARTS.index("cape")) > 0.85
    assert share(colours, TROUSERS, np.isin(loose.labels, [4, 5])) > 0.7
    assert loose.sheet[loose.labels == PARTS.index("cape")].mean() > 0.98
    assert share(colours, TROUSERS, loose.sheet) > 0.6
    assert not loose.sheet[loose.labels == HEAD].any()


def test_long_hair_is_of_the_head_not_of_the_arms_below_it():
    picture = person()
    for left in (138, 228):
        box(picture, (left, left + 34), (60, 230), HAIR)
    loose, colours = found(picture)
    assert share(colours, HAIR, loose.labels == HEAD) > 0.9
    assert share(colours, SKIN, loose.labels == HEAD) > 0.9


def test_clothes_of_the_hairs_colour_stay_clothes():
    picture = person()
    picture[(picture == SHIRT).all(-1)] = HAIR
    loose, _ = found(picture)
    assert (loose.labels == TORSO).sum() > 1000
    assert all((loose.labels == PARTS.index(arm)).sum() > 200 for arm in ("left_arm", "right_arm"))


def pieces_of(loose: LooseParts, part: str) -> list[int]:
    """How large the pieces of a part are, the largest first."""
    labels, count = ndimage.label(loose.labels == PARTS.index(part))
    return sorted(np.bincount(labels.ravel(), minlength=count + 1)[1:].tolist(), reverse=True)


def test_a_cuff_does_not_part_the_hand_from_its_arm():
    picture = person()
    box(picture, (325, 334), (127, 210), RED)
    loose, colours = found(picture)
    whole = colours.any(-1) & (loose.labels == PARTS.index("left_arm"))
    assert pieces_of(loose, "left_arm")[0] > 0.98 * whole.sum()
    columns = np.flatnonzero((colours == RED).all(-1).any(0))
    across = whole[:, columns].sum(0)
    assert across.min() >= 8  # of the nine that the sleeve is wide


def test_what_touches_neither_head_nor_trunk_stays_with_its_limb():
    picture = person()
    box(picture, (250, 300), (400, 440), RED)
    loose, colours = found(picture)
    assert share(colours, RED, loose.labels == PARTS.index("left_leg")) > 0.95
    assert not loose.flat.any()


def test_a_printed_dress_ends_above_legs_that_touch():
    picture = person()
    box(picture, (185, 215), (262, 480), SKIN)
    box(picture, (150, 185), (262, 480), SKIN)
    box(picture, (215, 250), (262, 480), SKIN)
    hem = np.array([(152, 240), (248, 240), (320, 350), (80, 350)])
    cv2.fillPoly(picture, [hem], SHIRT)
    for x, y in ((150, 300), (170, 330), (215, 280), (235, 325), (265, 335), (130, 340), (195, 320)):
        cv2.circle(picture, (x, y), 14, RED, -1)
    loose, colours = found(picture)
    below = np.arange(len(colours))[:, None] * np.ones_like(loose.labels) > 118
    assert share(colours, SKIN, np.isin(loose.labels, [4, 5]) | ~below) > 0.97
    assert loose.skirt.any()


def test_lines_around_a_figure_are_no_hair():
    picture = person()
    outline = cv2.dilate(picture.any(-1).astype(np.uint8), np.ones((9, 9), np.uint8)) > picture.any(-1)
    picture[outline] = HAIR
    loose, _ = found(picture)
    assert not loose.hair[50:].any()


def test_patches_of_hairs_colour_on_a_limb_are_no_hair_when_clothes_alone_join_them_to_the_head():
    picture = person()
    picture[112:262, 152:249][(picture[112:262, 152:249] == SHIRT).all(-1)] = HAIR
    box(picture, (152, 175), (255, 330), HAIR)
    box(picture, (158, 176), (60, 125), HAIR)
    loose, _ = found(picture)
    legs = np.isin(label_parts(grid_of(picture)), [4, 5])
    assert not loose.hair[legs].any()


def test_hips_behind_a_hanging_arm_are_no_bag_and_not_of_the_arm():
    picture = person()
    picture[118:147, 249:] = 0
    cv2.ellipse(picture, (248, 300), (48, 60), 0, 0, 360, TROUSERS, -1)
    for a, b in (((246, 130), (280, 250)), ((280, 250), (300, 345))):
        cv2.line(picture, a, b, SHIRT, 22)
    places = PLACES | {"left_elbow": (280, 250), "left_wrist": (296, 320), "left_hand": (300, 345)}
    loose, colours = found(picture, places)
    assert share(colours, TROUSERS, label_parts(grid_of(picture, places)) == PARTS.index("left_arm")) > 0.02
    assert share(colours, TROUSERS, loose.labels == PARTS.index("left_arm")) < 0.005
    assert not loose.flat.any()


def test_tips_of_locks_that_hair_cuts_off_an_arm_are_of_the_hair():
    picture = person()
    for left in (138, 228):
        box(picture, (left, left + 34), (60, 200), HAIR)
    box(picture, (263, 285), (160, 175), (150, 110, 90))
    loose, colours = found(picture)
    assert share(colours, (150, 110, 90), loose.labels == HEAD) > 0.95
    assert len(pieces_of(loose, "left_arm")) == 1


def test_a_bag_of_nearly_the_trousers_colour_hangs_beside_the_leg():
    picture, bag = person(), (95, 65, 110)
    box(picture, (251, 290), (240, 330), bag)
    loose, colours = found(picture)
    assert share(colours, bag, loose.flat) > 0.75


def test_a_bag_is_not_joined_to_the_leg_beside_it():
    picture, bag = person(), (190, 20, 20)
    box(picture, (251, 290), (240, 330), bag)
    grid = grid_of(picture)
    parts = loose_parts(grid, label_parts(grid))
    volumes, _ = inflate_parts(grid, parts)
    vertices, faces, part_at = surface_of_parts(grid, volumes, InflateConfig(), parts)
    row, column = np.floor(-vertices[:, 1]).astype(int), np.floor(vertices[:, 0]).astype(int)
    of_bag = parts.flat[row, column] & (part_at == TORSO)
    of_leg = part_at == PARTS.index("left_leg")
    assert of_bag.sum() > 100
    assert not (of_bag[faces].any(1) & of_leg[faces].any(1)).any()
