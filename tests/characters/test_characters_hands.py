"""Hands with fingers on arms, and the network that sees them."""

import cv2
import numpy as np
import pytest

from understudy.characters.picture.hands.fingers import CUFF, SeenHand, add_hands, seen_hand, without_mitten
from understudy.characters.picture.hands.shape import FINGERS, KNUCKLES, WRIST, hand_length
from understudy.characters.picture.inflate import PartVolume, _hand_gain
from understudy.characters.picture.joints import POINTS
from understudy.characters.picture.parts import PARTS, FigureGrid
from understudy.decompose.people.hands import HandNetwork
from understudy.io.pictures.files import read_picture
from understudy.io.weights import ensure_weights
from understudy.runtime.errors import BackendUnavailable

CELL_PX, ROWS, COLUMNS = 4.0, 60, 40
LENGTH = 20.0
"""Of the hand, in cells: 80 pixels."""
ARM = PARTS.index("left_arm")
SKIN = (220, 170, 140)


def open_hand(curl: float = 0.0) -> np.ndarray:
    """Joints in cells of a hand that points down with spread fingers, which bend to the viewer by `curl` of its
    length."""
    joints = np.zeros((21, 3))
    joints[WRIST] = 20, 25, 0
    for finger, (turn, root, reach) in zip(
        FINGERS, ((-0.75, 0.15, 0.42), (-0.30, 0.5, 0.44), (-0.05, 0.52, 0.5), (0.18, 0.5, 0.45), (0.42, 0.46, 0.36)),
        strict=True,
    ):  # fmt: skip
        along = np.array([np.sin(turn), np.cos(turn), 0.0])
        for number, joint in enumerate(finger):
            joints[joint] = joints[WRIST] + LENGTH * (root + number / 3 * reach) * along
            joints[joint, 2] += LENGTH * curl * (number / 3) ** 2
    return joints


def drawn(joints: np.ndarray, forearm: bool = True) -> np.ndarray:
    """A picture's mask with the hand, 8 pixels wide fingers, and the forearm above it."""
    mask = np.zeros((int(ROWS * CELL_PX), int(COLUMNS * CELL_PX)), np.uint8)
    px = np.round(CELL_PX * joints[:, :2]).astype(np.int32)
    for finger in FINGERS:
        cv2.polylines(mask, [px[list(finger)]], False, 1, 8)
    cv2.fillConvexPoly(mask, cv2.convexHull(px[[WRIST, 1, *KNUCKLES]]), 1)
    cv2.circle(mask, [int(v) for v in px[WRIST]], 14, 1, -1)
    if forearm:
        cv2.line(mask, [int(v) for v in px[WRIST]], (int(px[WRIST, 0]), 8), 1, 28)
    return mask > 0


def scene(joints: np.ndarray, mask: np.ndarray) -> tuple[FigureGrid, np.ndarray, PartVolume]:
    """The figure of an arm alone, its labels, and its inflated arm."""
    small = cv2.resize(mask.astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    distance = cv2.distanceTransform((small > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    distance = np.where(distance > 0, distance - 0.5, -1.0).astype(np.float64)
    points = np.full((len(POINTS), 2), 20.0)
    points[POINTS.index("left_elbow")], points[POINTS.index("left_wrist")] = (20, 2), joints[WRIST, :2]
    grid = FigureGrid(CELL_PX, np.zeros(2), distance, np.zeros((ROWS, COLUMNS, 3)), points, None, 180.0)
    labels = np.where(distance > 0, ARM, -1)
    ones = np.ones_like(distance)
    square = np.where(distance > 0, np.minimum(8 * np.maximum(distance, 0.5), 12.0), -1.0)
    return grid, labels, PartVolume(square, 3.0 * ones, ones, ones)


def see(joints: np.ndarray, mask: np.ndarray) -> tuple[SeenHand | None, PartVolume]:
    """The hand of a skin-coloured figure."""
    grid, labels, arm = scene(joints, mask)
    rgb = np.where(mask[..., None], np.array(SKIN, np.uint8), np.uint8(200))
    joints_px = joints * CELL_PX
    return seen_hand(grid, rgb, mask, labels, arm, "left", joints_px), arm


def made(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices in cells, z without the arm's, and faces."""
    hand, arm = see(joints, drawn(joints))
    assert hand is not None
    nothing = np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros(0, int)
    vertices, faces, part_at = add_hands([(hand, arm)], *nothing)
    assert (part_at == ARM).all()
    return vertices * (1, -1, 1) - (0, 0, 3.0), faces


def test_fingers_stand_apart_as_in_the_picture():
    joints = open_hand()
    vertices, faces = made(joints)
    outline = np.zeros((int(ROWS * CELL_PX), int(COLUMNS * CELL_PX)), np.uint8)
    for face in faces:
        cv2.fillConvexPoly(outline, np.round(CELL_PX * vertices[face, :2]).astype(np.int32), 1)
    beyond = np.arange(len(outline))[:, None] / CELL_PX > joints[WRIST, 1] + 1
    seen, wanted = (outline > 0) & beyond, drawn(joints) & beyond
    assert (seen & wanted).sum() / (seen | wanted).sum() > 0.88
    between = np.round(CELL_PX * 0.5 * (joints[8, :2] + joints[12, :2])).astype(int)
    assert not outline[between[1], between[0]], "there is air between the fingertips"
    assert vertices[:, 1].min() > joints[WRIST, 1] - (CUFF + 0.05) * LENGTH


def test_a_hand_has_the_thickness_of_a_hand_and_is_closed():
    vertices, faces = made(open_hand())
    palm = np.abs(vertices[:, 1] - (25 + 0.35 * LENGTH)) < 1
    assert 0.1 < np.ptp(vertices[palm, 2]) / LENGTH < 0.26
    tip = np.linalg.norm(vertices[:, :2] - open_hand()[11, :2], axis=1) < 1.5
    assert 0.05 < np.ptp(vertices[tip, 2]) / LENGTH < 0.13
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert {tuple(edge) for edge in edges} == {tuple(edge) for edge in edges[:, ::-1]}
    a, b, c = (vertices[faces[:, corner]] * (1, -1, 1) for corner in range(3))
    assert np.einsum("fi,fi->", a, np.cross(b, c)) > 0, "faces look outwards"


def test_bent_fingers_come_forward():
    straight, bent = made(open_hand())[0], made(open_hand(0.35))[0]
    tips = [v[v[:, 1] > 25 + 0.85 * LENGTH, 2].mean() for v in (straight, bent)]
    assert tips[1] - tips[0] > 0.12 * LENGTH


def test_hands_that_do_not_fit_the_outline_stay_mittens():
    joints = open_hand()
    elsewhere = joints + (9, 0, 0)
    assert see(elsewhere, drawn(joints))[0] is None
    holding = drawn(joints)
    holding[int(CELL_PX * 38) :, :] = True
    assert see(joints, holding)[0] is None, "what it holds would be lost"
    assert seen_hand(*_unseen(joints)) is None
    assert hand_length(joints) == pytest.approx(LENGTH, rel=0.1)


def _unseen(joints: np.ndarray) -> tuple:
    grid, labels, arm = scene(joints, drawn(joints))
    return grid, np.zeros((240, 160, 3), np.uint8), drawn(joints), labels, arm, "left", None


def test_the_arm_ends_within_the_hand():
    hand, arm = see(open_hand(), drawn(open_hand()))
    assert hand is not None
    rest = without_mitten(arm, hand)
    rows = np.arange(ROWS) + 0.5
    np.testing.assert_array_equal(rest.square[rows < 25], arm.square[rows < 25])
    assert (rest.square[rows > 25 + 0.16 * LENGTH] <= 0).all()


def mitten_depth(half_width: float, style: float = 0.0, tall: float = 180.0) -> float:
    """How much deeper a hand of this half width is made, 20 cells long, in half widths of it."""
    rows, columns = np.mgrid[:60, :60] + 0.5
    aside = np.abs(columns - 30)
    own = (aside < half_width) & (rows > 10) & (rows < 45)
    square = np.where(own, half_width**2 - aside**2, -1.0)
    line = np.array([(30, 2), (30, 12), (30, 25), (30, 43)], float)
    gain = _hand_gain(square, own, np.stack([columns, rows], -1), line, tall, style)
    np.testing.assert_allclose(gain[rows < 25], 1.0)
    return float((gain * np.sqrt(np.maximum(square, 0)))[35].max()) / half_width


def test_a_hand_that_shows_its_edge_is_deep_and_one_that_shows_its_back_is_flat():
    edge, back = mitten_depth(2.5), mitten_depth(7.0)
    assert 1.7 < edge < 2.6 and 0.35 < back < 0.75
    assert mitten_depth(7.0, style=1.0) == pytest.approx(0.8, abs=0.15), "a mitten is stout"
    fist = mitten_depth(7.0, tall=400.0)
    assert fist > back + 0.2, "a fist is as deep as wide"


def test_what_a_hand_holds_is_flat():
    rows, columns = np.mgrid[:90, :60] + 0.5
    own = (np.abs(columns - 30) < 3) & (rows > 10)
    line = np.array([(30, 2), (30, 12), (30, 25), (30, 43)], float)
    gain = _hand_gain(np.where(own, 9.0, -1.0), own, np.stack([columns, rows], -1), line, 150.0, 0.0)
    assert gain[32, 30] > 1.2 and gain[60, 30] == pytest.approx(0.75)


@pytest.fixture(scope="module")
def network() -> HandNetwork:
    try:
        return HandNetwork(ensure_weights("hand_landmarks") / "hand_landmark_full.tflite")
    except BackendUnavailable as error:
        pytest.skip(str(error))


def test_the_network_sees_a_person_s_hand_and_none_elsewhere(network, shared_data):
    rgb = np.ascontiguousarray(read_picture(shared_data / "characters" / "man_red_jacket.png")[..., :3])
    joints = network(rgb, np.array([410.0, 340.0]), np.array([410.0, 463.0]))
    assert joints is not None
    np.testing.assert_allclose(joints[[0, 9, 12], :2], [(405, 461), (411, 510), (389, 537)], atol=6)
    palm = np.linalg.norm(joints[9] - joints[WRIST])
    assert joints[5, 2] - joints[17, 2] > 0.2 * palm, "the index finger's side is turned to the viewer"
    assert network(rgb, np.array([300.0, 100.0]), np.array([300.0, 160.0])) is None
    assert network(rgb, np.zeros(2), np.zeros(2)) is None
