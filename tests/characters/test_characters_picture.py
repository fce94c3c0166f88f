"""A drawn figure whose joints and parts are known becomes a character."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.characters.cutout.cutout import cut_out
from understudy.characters.picture.character import PictureConfig, character_from_picture
from understudy.characters.picture.joints import POINTS, joints_from_landmarks, read_joints
from understudy.characters.picture.legs import complete_legs
from understudy.characters.picture.parts import PARTS, figure_grid, label_parts
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import quaternion_from_matrix, rotation_between
from understudy.geometry.skinning import skin_vertices
from understudy.io.gltf.read import read_gltf
from understudy.io.gltf.write import write_character
from understudy.io.pictures.files import write_png
from understudy.runtime.errors import CharacterError

SKIN, SHIRT, TROUSERS, SHOES, HAIR, PRINT = (
    (225, 180, 150), (190, 40, 40), (40, 50, 120), (60, 40, 30), (70, 45, 20), (240, 220, 40),
)  # fmt: skip
HEIGHT, WIDTH = 600, 420
TRUTH = {
    "left_shoulder": (255, 170), "left_elbow": (300, 240), "left_wrist": (335, 305), "left_index": (345, 330),
    "left_hip": (232, 320), "left_knee": (240, 420), "left_ankle": (246, 525), "left_foot_index": (262, 552),
    "nose": (210, 92), "left_ear": (238, 92), "left_eye": (222, 82), "mouth_left": (220, 112),
}  # fmt: skip
"""The left side and the middle; the figure is symmetric around x = 210."""


def truth_px(name: str) -> np.ndarray:
    """A landmark of the drawn figure."""
    side = name.replace("pinky", "index").replace("thumb", "index").replace("heel", "ankle")
    side = side.replace("_eye_inner", "_eye").replace("_eye_outer", "_eye")
    mirrored = side.replace("right", "left")
    x, y = TRUTH[mirrored]
    return np.array([420.0 - x if "right" in side else x, y], np.float64)


def draw(outline_only: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The figure as RGBA, and its parts (an index of PARTS, −1 outside)."""
    rgb, part = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.full((HEIGHT, WIDTH), -1, np.int32)

    def limb(which: str, points: list[str], width: int, colour: tuple[int, int, int]) -> None:
        line = np.round([truth_px(point) for point in points]).astype(np.int32)
        cv2.polylines(rgb, [line], False, colour, width)
        cv2.polylines(part, [line], False, PARTS.index(which), width)

    for side in ("left", "right"):
        limb(f"{side}_leg", [f"{side}_hip", f"{side}_knee", f"{side}_ankle"], 44, TROUSERS)
        limb(f"{side}_leg", [f"{side}_ankle", f"{side}_foot_index"], 36, SHOES)
    trunk = np.array([[160, 158], [260, 158], [256, 330], [164, 330]], np.int32)
    for canvas, value in ((rgb, SHIRT), (part, PARTS.index("torso"))):
        cv2.fillConvexPoly(canvas, trunk, value)
        cv2.line(canvas, (210, 165), (210, 120), value if canvas is part else SKIN, 30)
    for side in ("left", "right"):
        limb(f"{side}_arm", [f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"], 34, SHIRT)
        limb(f"{side}_arm", [f"{side}_wrist", f"{side}_index"], 26, SKIN)
    for canvas, hair, face in ((rgb, HAIR, SKIN), (part, 1, 1)):
        cv2.ellipse(canvas, (210, 85), (36, 48), 0, 0, 360, hair, -1)
        cv2.ellipse(canvas, (210, 95), (25, 32), 0, 0, 360, face, -1)
    cv2.circle(rgb, (210, 230), 22, PRINT, -1)
    if outline_only:
        outline = cv2.morphologyEx((part >= 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((7, 7), np.uint8))
        paper = np.full((HEIGHT, WIDTH), 205.0) + np.linspace(-15, 15, WIDTH)[None]
        rgb = np.where(outline[..., None] > 0, np.uint8(60), np.broadcast_to(paper[..., None], rgb.shape)).astype(
            np.uint8
        )
    alpha = np.full((HEIGHT, WIDTH), 255) if outline_only else 255 * (part >= 0)
    return np.dstack([rgb, alpha.astype(np.uint8)]), part


class KnownDetector:
    """Knows where the drawn figure's landmarks are, in the picture as it was drawn."""

    def __init__(self, mirrored: bool = False) -> None:
        self.mirrored = mirrored

    def __call__(self, picture: np.ndarray):
        if picture.shape[:2] != (HEIGHT, WIDTH):
            return None
        swap = {"left": "right", "right": "left"}
        names = LANDMARKS
        if self.mirrored:
            names = tuple(
                "_".join(swap.get(word, word) for word in name.split("_")) if name != "nose" else name
                for name in LANDMARKS
            )
        points = np.stack([truth_px(name) for name in names])
        body = cv2.GaussianBlur((draw()[1] >= 0).astype(np.float32), (0, 0), 3).astype(np.float64)
        return points, np.ones(33), np.zeros((33, 3)), body


def find_nothing(picture: np.ndarray) -> None:
    """A detector that sees nobody."""


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "drawn.png"
    write_png(path, draw()[0])
    return path


@pytest.fixture(scope="module")
def character(picture: Path):
    return character_from_picture(picture, KnownDetector(), PictureConfig(height_m=1.8))


def welded(character) -> np.ndarray:
    """Faces over vertices that are one where the texture's seams split them."""
    _, one = np.unique(np.round(character.mesh.vertices, 9), axis=0, return_inverse=True)
    return one.ravel()[character.mesh.faces]


def posed(character, directions: dict[str, tuple[str, tuple[float, float, float]]]) -> np.ndarray:
    """The vertices with bones (joint → its child, direction in the world) turned."""
    skeleton = character.skeleton
    offsets = skeleton.T_parent_joint[:, :3, 3]
    world, local = [], []
    for name, parent in zip(skeleton.names, skeleton.parents, strict=True):
        above = np.eye(3) if parent < 0 else world[parent]
        turn = above
        if name in directions:
            child, direction = directions[name]
            turn = rotation_between(offsets[BODY_JOINTS.index(child)], np.array(direction))
        world.append(turn)
        local.append(quaternion_from_matrix(above.T @ turn))
    T = forward_kinematics(skeleton.parents, offsets, np.stack(local), offsets[0])
    return skin_vertices(
        character.mesh.vertices, T @ character.T_joint_mesh, character.skin_joints, character.skin_weights
    )


ARMS_UP = {
    "LeftArm": ("LeftForeArm", (0.6, 1.0, 0.0)), "LeftForeArm": ("LeftHand", (0.3, 1.0, 0.0)),
    "RightArm": ("RightForeArm", (-0.6, 1.0, 0.0)), "RightForeArm": ("RightHand", (-0.3, 1.0, 0.0)),
}  # fmt: skip
KICK = {"LeftUpLeg": ("LeftLeg", (0.1, -0.2, 1.0)), "LeftLeg": ("LeftFoot", (0.1, -0.2, 1.0))}


def test_mesh_is_closed_and_faces_outwards(character):
    faces = welded(character)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges), "an edge is used twice in one direction"
    assert {tuple(e) for e in edges} == {tuple(e) for e in edges[:, ::-1]}, "an edge has a face on one side only"
    a, b, c = (character.mesh.vertices[character.mesh.faces[:, i]] for i in range(3))
    assert np.einsum("fi,fi->", a, np.cross(b, c)) > 0
    assert 8_000 < len(np.unique(faces)) < 25_000


def test_stands_on_the_ground_facing_forward(character):
    vertices = character.mesh.vertices
    assert vertices[:, 1].min() == pytest.approx(0, abs=1e-9)
    assert np.ptp(vertices[:, 1]) == pytest.approx(1.8)
    assert abs(vertices[:, 0].mean()) < 0.03
    joints = -character.T_joint_mesh[:, :3, 3]
    where = dict(zip(character.skeleton.names, joints, strict=True))
    assert character.roles == {name: index for index, name in enumerate(BODY_JOINTS)}
    assert where["LeftHand"][0] > 0.2 > -0.2 > where["RightHand"][0]
    assert where["LeftToeBase"][2] > where["LeftFoot"][2] + 0.02
    front = vertices[vertices[:, 1] < 0.08]
    assert front[:, 2].max() > 1.4 * -front[:, 2].min(), "feet point forward"


def test_joints_are_where_they_were_drawn(character):
    joints = dict(zip(character.skeleton.names, -character.T_joint_mesh[:, :3, 3], strict=True))
    top = 37.0
    scale = 1.8 / (np.flatnonzero((draw()[1] >= 0).any(1))[-1] + 1 - top)
    pairs = {
        "LeftArm": "left_shoulder",
        "RightForeArm": "right_elbow",
        "LeftHand": "left_wrist",
        "RightLeg": "right_knee",
        "LeftFoot": "left_ankle",
    }
    for joint, landmark in pairs.items():
        want = (truth_px(landmark) - (210, top)) * scale
        # One look alone is not believed: the network's joints, to 3 % of the height.
        np.testing.assert_allclose(joints[joint][:2], (want[0], 1.8 - want[1]), atol=0.054)


def test_front_silhouette_is_the_pictures(character):
    truth = draw()[1] >= 0
    rows = np.flatnonzero(truth.any(1))
    scale = (rows[-1] + 1 - rows[0]) / 1.8
    pixels = character.mesh.vertices[:, :2] * (scale, -scale) + (210, rows[-1] + 1)
    canvas = np.zeros(truth.shape, np.uint8)
    for triangle in np.round((pixels[character.mesh.faces] - 0.5) * 16).astype(np.int32):
        cv2.fillConvexPoly(canvas, triangle, 1, shift=4)
    both, either = np.sum(truth & (canvas > 0)), np.sum(truth | (canvas > 0))
    assert both / either > 0.95


def colour_at(character, x: float, y: float, behind: bool) -> np.ndarray:
    """The texture's colour on the surface above (x, y), seen from in front or behind."""
    mesh = character.mesh
    facing = (mesh.normals[:, 2] < -0.5) if behind else (mesh.normals[:, 2] > 0.5)
    near = np.where(facing, np.hypot(mesh.vertices[:, 0] - x, mesh.vertices[:, 1] - y), np.inf).argmin()
    texture = mesh.materials[0].texture
    u, v = mesh.uv[near] * texture.shape[1::-1]
    return texture[int(v), int(u), :3].astype(float)


def test_front_carries_the_picture_and_the_back_has_no_print_or_face(character):
    scale = 1.8 / (np.flatnonzero((draw()[1] >= 0).any(1))[-1] + 1 - 37)
    print_y, face_y = 1.8 - (230 - 37) * scale, 1.8 - (95 - 37) * scale
    assert np.linalg.norm(colour_at(character, 0, print_y, False) - PRINT) < 25
    assert np.linalg.norm(colour_at(character, 0, face_y, False) - SKIN) < 25
    assert np.linalg.norm(colour_at(character, 0, print_y, True) - SHIRT) < 40
    behind = colour_at(character, 0, face_y, True)
    assert np.linalg.norm(behind - HAIR) < np.linalg.norm(behind - SKIN)


def test_is_matt_in_its_file_too(character, tmp_path):
    write_character(tmp_path / "drawn.glb", character)
    for mesh in (character.mesh, read_gltf(tmp_path / "drawn.glb").mesh):
        assert [material.specular for material in mesh.materials] == [0.0]


@pytest.mark.parametrize("pose", [ARMS_UP, KICK], ids=["arms up", "kick"])
def test_moves_without_tearing(character, pose):
    moved, rest = posed(character, pose), character.mesh.vertices
    faces = character.mesh.faces
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    before = np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=1)
    after = np.linalg.norm(moved[edges[:, 0]] - moved[edges[:, 1]], axis=1)
    assert np.mean(after > 2 * np.maximum(before, 0.3 * np.median(before))) < 0.01
    # An arm does not drag the legs, a leg not the head.
    still = rest[:, 1] < 0.5 if pose is ARMS_UP else rest[:, 1] > 1.2
    assert np.abs(moved - rest)[still].max() < 1e-6
    far = rest[:, 0] > 0.36 if pose is ARMS_UP else (rest[:, 1] < 0.4) & (rest[:, 0] > 0)
    assert np.linalg.norm(moved - rest, axis=1)[far].min() > 0.3


def test_every_vertex_is_moved_by_its_own_limb(character):
    assert np.all(character.skin_weights.sum(1) > 0.999)
    hand = character.mesh.vertices[:, 0] > 0.40
    names = character.skeleton.names
    arm = [joint for joint, name in enumerate(names) if name.startswith(("LeftForeArm", "LeftHand"))]
    weight = np.where(np.isin(character.skin_joints[hand], arm), character.skin_weights[hand], 0).sum(1)
    assert weight.min() > 0.85


def test_mirrored_landmarks_are_swapped():
    figure = draw()[1] >= 0
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    right = joints_from_landmarks(KnownDetector()(image), figure)
    mirrored = joints_from_landmarks(KnownDetector(mirrored=True)(image), figure)
    np.testing.assert_allclose(mirrored.points_px, right.points_px)
    assert mirrored["left_wrist"][0] > mirrored["right_wrist"][0]
    assert right.score > 0.8


def test_upturned_landmarks_score_worse():
    figure = draw()[1] >= 0
    points, visibility, metres, body = KnownDetector()(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    upturned = points * (1, -1) + (0, 590)
    assert joints_from_landmarks((upturned, visibility, metres, body), figure).score < 0


def test_parts_are_those_drawn():
    rgba, part = draw()
    joints = joints_from_landmarks(KnownDetector()(rgba[..., :3]), part >= 0)
    grid = figure_grid(np.ascontiguousarray(rgba[..., :3]), part >= 0, joints, 150)
    labels = label_parts(grid)
    rows, columns = np.nonzero(labels >= 0)
    x = np.floor(grid.origin_px[0] + (columns + 0.5) * grid.cell_px).astype(int)
    y = np.floor(grid.origin_px[1] + (rows + 0.5) * grid.cell_px).astype(int)
    known = part[y, x] >= 0
    assert np.mean(part[y, x][known] == labels[rows, columns][known]) > 0.9


def test_line_drawing_is_filled():
    rgba, part = draw(outline_only=True)
    # The stroke, which lies half outside, belongs to the figure.
    found, truth = cut_out(rgba), cv2.dilate((part >= 0).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert np.sum(found & truth) / np.sum(found | truth) > 0.95


def test_busy_background_is_cut_with_landmarks():
    rgba, part = draw()
    rng = np.random.default_rng(3)
    busy = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, WIDTH, 3)), (0, 0), 6)
    busy = np.clip((busy - 127) * 6 + (90, 150, 110), 0, 255)
    rgb = np.where(part[..., None] >= 0, rgba[..., :3], busy).astype(np.uint8)
    opaque = np.dstack([rgb, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    found = cut_out(opaque, KnownDetector()(rgb))
    assert np.sum(found & (part >= 0)) / np.sum(found | (part >= 0)) > 0.85


def test_joints_by_hand_and_without_a_detector(picture, tmp_path):
    names = [f"{s}_{n}" for s in ("left", "right") for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]
    file = tmp_path / "joints.json"
    file.write_text(json.dumps({"head_top": [210, 38]} | {name: truth_px(name).tolist() for name in names}))
    joints = read_joints(file)
    assert joints.points_px.shape == (len(POINTS), 2)
    steps = []
    character = character_from_picture(
        picture, find_nothing, PictureConfig(joints=file), lambda done, total: steps.append((done, total))
    )
    assert character.height_m == pytest.approx(1.7)
    assert steps[-1][0] == steps[-1][1] and [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_joints_of_animated_drawings_are_read(tmp_path):
    names = {
        "left_hand": "left_wrist",
        "right_hand": "right_wrist",
        "left_foot": "left_ankle",
        "right_foot": "right_ankle",
    }
    lines = ["height: 600", "skeleton:"]
    sides = [f"{s}_{n}" for s in ("left", "right") for n in ("shoulder", "elbow", "hand", "hip", "knee", "foot")]
    places = {name: truth_px(names.get(name, name)) for name in sides}
    places |= {"root": (210, 320), "hip": (210, 320), "torso": (210, 170), "neck": (210, 100)}
    for name, (x, y) in places.items():
        lines += ["- loc:", f"  - {int(x)}", f"  - {int(y)}", f"  name: {name}", "  parent: root"]
    file = tmp_path / "char_cfg.yaml"
    file.write_text("\n".join(lines))
    joints = read_joints(file)
    np.testing.assert_allclose(joints["left_wrist"], truth_px("left_wrist") + 0.5)
    assert joints["head_top"][1] == pytest.approx(44.5)


def test_cut_off_legs_are_carried_on():
    rgba, part = draw()
    rgb, figure = np.ascontiguousarray(rgba[..., :3]), part >= 0
    joints = joints_from_landmarks(KnownDetector()(rgb), figure)
    whole = complete_legs(rgb, figure, joints)
    assert whole[0] is rgb and whole[1] is figure and whole[2] is joints
    cut = 400
    longer, mask, completed = complete_legs(rgb[:cut].copy(), figure[:cut], joints)
    np.testing.assert_array_equal(longer[:cut], rgb[:cut])
    np.testing.assert_array_equal(mask[:cut], figure[:cut])
    assert len(mask) == len(longer) > cut + 80
    for side in ("left", "right"):
        ankle = completed[f"{side}_ankle"]
        assert np.linalg.norm(ankle - truth_px(f"{side}_ankle")) < 60
        shin = 0.5 * (completed[f"{side}_knee"] + ankle)
        x, y = np.floor(shin).astype(int)
        assert mask[y, x] and np.linalg.norm(longer[y, x] - np.array(TROUSERS)) < 20


def test_made_up_legs_have_no_stripes_of_the_jacket():
    rgba, part = draw()
    rgb, figure = np.ascontiguousarray(rgba[..., :3]), part >= 0
    joints = joints_from_landmarks(KnownDetector()(rgb), figure)
    cut = 340
    trousers = 12
    rgb[: cut - trousers][figure[: cut - trousers]] = SHIRT
    rgb[cut - trousers :][figure[cut - trousers :]] = TROUSERS
    longer, mask, completed = complete_legs(rgb[:cut].copy(), figure[:cut], joints)
    legs = longer[cut : int(completed["left_ankle"][1])][mask[cut : int(completed["left_ankle"][1])]]
    assert np.abs(legs.astype(int) - np.array(TROUSERS)).max() < 20


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "JSON"),
        ("[1, 2]", "expected"),
        ('{"left_elbow": [1, 2]}', "lacks"),
        ('{"tail": [1, 2]}', "tail"),
        ('{"left_elbow": [1, "x"]}', r"\[x, y\]"),
    ],
)
def test_bad_joints_files_say_what_is_wrong(tmp_path, content, says):
    file = tmp_path / "joints.json"
    file.write_text(content)
    with pytest.raises(CharacterError, match=says):
        read_joints(file)


def test_useless_pictures_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    pictures = {
        "empty": np.zeros((200, 200, 4), np.uint8),
        "speck": np.pad(np.full((6, 6, 4), 255, np.uint8), ((90, 90), (90, 90), (0, 0))),
        "plain": np.full((200, 200, 4), 255, np.uint8),
        "block": np.pad(np.full((150, 260, 4), 255, np.uint8), ((20, 20), (20, 20), (0, 0))),
        "noise": np.dstack([rng.integers(0, 255, (150, 150, 3)), np.full((150, 150), 255)]).astype(np.uint8),
    }
    for name, pixels in pictures.items():
        path = tmp_path / f"{name}.png"
        write_png(path, pixels)
        with pytest.raises(CharacterError) as error:
            character_from_picture(path, find_nothing)
        assert "give" in str(error.value), name


def test_mask_by_hand_must_match(picture, tmp_path):
    mask = tmp_path / "mask.png"
    write_png(mask, np.zeros((100, 100), np.uint8))
    with pytest.raises(CharacterError, match="100×100"):
        character_from_picture(picture, KnownDetector(), PictureConfig(mask=mask))
