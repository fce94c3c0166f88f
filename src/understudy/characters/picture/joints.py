"""Where a figure's joints are in its picture."""

import itertools
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from understudy.characters.protocol import Detection, LandmarkDetector
from understudy.core.footage import LANDMARKS
from understudy.io.files import read_bytes, reading
from understudy.runtime.errors import CharacterError, quoted

__all__ = [
    "BONES",
    "POINTS",
    "FigureJoints",
    "combined",
    "find_joints",
    "joints_from_landmarks",
    "read_joints",
    "silhouette_score",
]

POINTS: tuple[str, ...] = (
    "head_top", "head", "neck", "hips",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_toe",
    "right_hip", "right_knee", "right_ankle", "right_toe",
)  # fmt: skip
"""What is known of a figure in 2D. `head` is the base of the skull (between the ears, at the jaw's height), `hips`
the middle of the pelvis; left is the figure's own left, which is on the right of a picture that it faces."""

MAX_JOINTS_BYTES = 1 << 20
FARTHEST_PX = 1e6
_INDEX = {name: index for index, name in enumerate(POINTS)}
BONES = tuple(
    (_INDEX[a], _INDEX[b])
    for a, b in (
        ("head_top", "head"), ("head", "neck"), ("neck", "hips"),
        ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"),
        ("left_elbow", "left_wrist"), ("left_wrist", "left_hand"),
        ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"),
        ("right_elbow", "right_wrist"), ("right_wrist", "right_hand"),
        ("hips", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("left_ankle", "left_toe"),
        ("hips", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"), ("right_ankle", "right_toe"),
    )
)  # fmt: skip
"""Pairs of POINTS, by index, between which a bone lies."""


@dataclass(frozen=True)
class FigureJoints:
    """A figure's joints in its picture."""

    points_px: Float[np.ndarray, "20 2"]
    """Where each of POINTS is; may lie outside the picture (a figure cut off at the knees)."""
    face_px: Float[np.ndarray, "11 2"] | None = None
    """The first 11 of `core.footage.LANDMARKS` (nose to mouth), when a face was found."""
    score: float = 0.0
    """How well the joints explain the silhouette; comparable only within one picture."""
    sure: bool = True
    """Whether several looks at the figure agree."""
    guessed: bool = False
    """Whether they come from the silhouette alone."""
    doubt_px: Float[np.ndarray, "20"] | None = None
    """How far off each point may be: one standard deviation, in pixels. None: nobody knows, or they were placed by
    hand."""

    def __getitem__(self, name: str) -> Float[np.ndarray, "2"]:
        return self.points_px[_INDEX[name]]


def find_joints(
    rgb: UInt8[np.ndarray, "height width 3"],
    figure: Bool[np.ndarray, "height width"],
    detect: LandmarkDetector,
    first: Detection | None = None,
) -> FigureJoints | None:
    """The joints by the landmark model, which misses many drawn figures as they are.

    It is asked again on the cut-out before flat backgrounds, stretched and padded, and the answer that explains the
    silhouette best is kept. None when it never sees a body that stands upright.
    """
    candidates = [] if first is None else [joints_from_landmarks(first, figure)]
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    crop, inside = rgb[top:bottom, left:right], figure[top:bottom, left:right]
    scale = min(1.0, 512 / max(crop.shape[:2]))
    for grey in (235, 128, 40):
        for stretch in (1.0, 0.75, 1.3):
            for padding in (0.12, 0.4):
                small = np.where(inside[..., None], crop, np.uint8(grey))
                size = max(8, round(small.shape[1] * scale * stretch)), max(8, round(small.shape[0] * scale))
                small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
                pad = round(padding * max(size))
                small = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(grey,) * 3)
                found = detect(small)
                if found is not None:
                    landmarks = (found[0] - pad) / (scale * stretch, scale) + (left, top)
                    candidates.append(joints_from_landmarks((landmarks, *found[1:]), figure))
        if len(candidates) > 5 and max(c.score for c in candidates) > GOOD_SCORE:
            break
    standing = [candidate for candidate in candidates if candidate.score > 0.0]
    return _agreed(standing, float(bottom - top)) if standing else None


GOOD_SCORE = 0.85
"""Joints that score this well need no further tries."""
AGREEMENT = 0.035
"""Candidates whose joints lie this near to those of five others on average (in heights of the figure) agree."""
LANDMARK_ERROR = 0.01
"""How far landmarks lie off even where all looks agree, in heights (clothed people: 0.8 to 1.2 %)."""
UNSURE = 0.06
"""How far joints lie off where no looks agree, in heights, at least."""


def _agreed(candidates: list[FigureJoints], tall: float) -> FigureJoints:
    """The median of the candidates that agree with the best of them; if none do, the best of all, marked as not sure.

    On figures that the landmark model understands its answers agree within a few percent; a single limb gone astray
    may explain the silhouette better than the truth.
    """
    points = np.stack([candidate.points_px for candidate in candidates]) / tall
    between = np.linalg.norm(points[:, None] - points[None], axis=-1).mean(-1)
    apart = np.sort(between, axis=1)[:, 1:6]
    apart = apart.mean(1) if len(candidates) > 5 else np.full(len(candidates), np.inf)
    sure = bool(apart.min() < AGREEMENT)
    rank = [c.score - (2.0 * float(a) if sure else 0.0) for c, a in zip(candidates, apart, strict=True)]
    best = int(np.argmax(rank))
    if not sure:
        off = (
            np.linalg.norm(points - points[best], axis=-1).mean(0) if len(points) > 1 else np.full(len(POINTS), UNSURE)
        )
        return replace(candidates[best], sure=False, doubt_px=tall * np.maximum(off, UNSURE))
    near = np.flatnonzero(between[best] < AGREEMENT)
    middle = np.median(points[near], axis=0)
    off = np.sqrt(np.mean(np.sum((points[near] - middle) ** 2, -1), 0) + LANDMARK_ERROR**2)
    faces = [face for index in near if (face := candidates[index].face_px) is not None]
    return replace(
        candidates[best],
        points_px=tall * middle,
        face_px=np.median(faces, axis=0) if faces else None,
        doubt_px=tall * off,
    )


def combined(landmarks: FigureJoints, outline: FigureJoints) -> FigureJoints:
    """Joints by landmarks and by the network, each weighted by how little it doubts (inverse variance).

    Where they contradict each other by more than their doubts explain, landmarks are believed, which were learned from
    photographs, and how far the two are apart is the doubt. Of landmarks that no looks agree on only the face is used,
    where the head is where the network sees it.
    """
    assert landmarks.doubt_px is not None and outline.doubt_px is not None
    apart = np.linalg.norm(landmarks.points_px - outline.points_px, axis=-1)
    if not landmarks.sure:
        head = [_INDEX["head"], _INDEX["head_top"]]
        agrees = bool((apart[head] < landmarks.doubt_px[head]).all())
        return replace(outline, guessed=False, face_px=landmarks.face_px if agrees else None)
    first, second = landmarks.doubt_px**2, outline.doubt_px**2
    contradict = apart > CONTRADICTION * np.sqrt(first + second)
    share = np.where(contradict, 0.0, first / (first + second))
    points = landmarks.points_px + share[:, None] * (outline.points_px - landmarks.points_px)
    doubt = np.where(contradict, apart, np.sqrt(first * second / (first + second)))
    return replace(landmarks, points_px=points, doubt_px=doubt)


CONTRADICTION = 2.5
"""Voices contradict each other when they are this many standard deviations apart."""


def joints_from_landmarks(detection: Detection, figure: Bool[np.ndarray, "rows columns"]) -> FigureJoints:
    """The 20 points from BlazePose's 33 landmarks, left and right put the way a figure that faces us has them."""
    landmarks, visibility = _untangle(detection[0]), detection[1]
    seen = dict(zip(LANDMARKS, landmarks, strict=True))
    for middle, pair in _MIDDLES.items():
        seen[middle] = 0.5 * (seen[pair[0]] + seen[pair[1]])
    point = {name: _between(seen, *way) for name, way in _BETWEEN_LANDMARKS.items()}
    for side, other in (("left", "right"), ("right", "left")):
        for name, (start, shares) in _BETWEEN_LANDMARKS_OF_SIDE.items():
            own = {towards.format(side=side, other=other): share for towards, share in shares.items()}
            point[f"{side}_{name}"] = _between(seen, f"{side}_{start}", own)
        # Pinky and index knuckles: the hand's tip lies about as far again beyond them.
        knuckles = 0.5 * (seen[f"{side}_pinky"] + seen[f"{side}_index"])
        point[f"{side}_hand"] = seen[f"{side}_wrist"] + 1.6 * (knuckles - seen[f"{side}_wrist"])
        point[f"{side}_toe"] = seen[f"{side}_foot_index"]
    up = seen["nose"] + (seen["ears"] - seen["mouth"]) * 0.5 - seen["shoulders"]
    point["head_top"] = _walk_out(figure, 0.5 * (seen["nose"] + seen["ears"]), up)
    points = _mirror_lost_arm(np.stack([point[name] for name in POINTS]), figure)
    score = silhouette_score(points, figure) + 0.2 * float(visibility[11:].mean())
    score -= 0.0 if _stands_upright(points, figure) else 1.0
    return FigureJoints(points, landmarks[:11].copy(), score)


_MIDDLES = {
    "hips": ("left_hip", "right_hip"), "shoulders": ("left_shoulder", "right_shoulder"),
    "ears": ("left_ear", "right_ear"), "mouth": ("mouth_left", "mouth_right"),
}  # fmt: skip
_BETWEEN_LANDMARKS: dict[str, tuple[str, dict[str, float]]] = {
    "hips": ("hips", {"shoulders": 0.111}),
    "neck": ("shoulders", {"hips": -0.137, "mouth": 0.077}),
    "head": ("ears", {"mouth": 0.108, "shoulders": 0.352}),
}
"""Where a body's joints lie between the landmarks that BlazePose finds: at one of them, plus shares of the ways to
others. Least squares over random bodies; made by scripts/fit_joints_to_landmarks.py."""
_BETWEEN_LANDMARKS_OF_SIDE: dict[str, tuple[str, dict[str, float]]] = {
    "shoulder": ("shoulder", {"{other}_shoulder": -0.044, "{side}_hip": 0.038}),
    "elbow": ("elbow", {"{side}_shoulder": -0.018, "{side}_wrist": -0.005}),
    "wrist": ("wrist", {"{side}_elbow": 0.008, "{side}_index": -0.021}),
    "hip": ("hip", {"{other}_hip": -0.072, "shoulders": 0.028}),
    "knee": ("knee", {"{side}_hip": 0.019, "{side}_ankle": -0.025}),
    "ankle": ("ankle", {"{side}_knee": -0.058, "{side}_heel": 0.044}),
}


def _between(seen: dict[str, Float[np.ndarray, "2"]], start: str, shares: dict[str, float]) -> Float[np.ndarray, "2"]:
    """A place plus shares of the ways to others."""
    return seen[start] + sum((share * (seen[name] - seen[start]) for name, share in shares.items()), np.zeros(2))


def _share_inside(points: Float[np.ndarray, "point 2"], figure: Bool[np.ndarray, "rows columns"]) -> float:
    """How much of a line through points lies inside the figure."""
    share = np.linspace(0, 1, 12)[:, None]
    pixel = np.floor(np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(points)])).astype(int)
    within = ((pixel >= 0) & (pixel < figure.shape[::-1])).all(1)
    inside = np.zeros(len(pixel))
    inside[within] = figure[pixel[within, 1], pixel[within, 0]]
    return float(inside.mean())


def _mirror_lost_arm(
    points: Float[np.ndarray, "20 2"], figure: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "20 2"]:
    """An arm found outside the figure takes the other one's mirrored pose where that fits better."""
    names = ("shoulder", "elbow", "wrist", "hand")
    arms = {side: [_INDEX[f"{side}_{name}"] for name in names] for side in ("left", "right")}
    axis = points[_INDEX["hips"]] - points[_INDEX["neck"]]
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    points = points.copy()
    for lost, good in (("left", "right"), ("right", "left")):
        offset = points[arms[good]] - points[_INDEX["neck"]]
        mirrored = points[_INDEX["neck"]] + 2 * (offset @ axis)[:, None] * axis - offset
        if (
            _share_inside(points[arms[lost]], figure) < 0.8
            and _share_inside(points[arms[good]], figure) > 0.9
            and _share_inside(mirrored, figure) > _share_inside(points[arms[lost]], figure) + 0.1
        ):
            points[arms[lost]] = mirrored
    return points


def _stands_upright(points: Float[np.ndarray, "20 2"], figure: Bool[np.ndarray, "height width"]) -> bool:
    """Whether head, neck, hips and feet follow each other downwards and the legs reach into the lowest quarter.

    On figures it does not understand, the landmark model answers with small, tilted or upturned bodies.
    """
    rows = np.flatnonzero(figure.any(1))
    height = (points[:, 1] - rows[0]) / (rows[-1] + 1 - rows[0])
    ankles = [_INDEX["left_ankle"], _INDEX["right_ankle"]]
    chain = [height[_INDEX["head_top"]], height[_INDEX["neck"]], height[_INDEX["hips"]], height[ankles].min()]
    return bool(np.all(np.diff(chain) > 0.03) and height[ankles].max() > 0.75)


def _untangle(landmarks: Float[np.ndarray, "33 2"]) -> Float[np.ndarray, "33 2"]:
    """Swap what was found mirrored: a figure that faces us has its left on the picture's right."""
    left = np.array([4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32])
    right = np.array([1, 2, 3, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31])
    swapped = np.arange(33)
    swapped[left], swapped[right] = right, left
    facing = (landmarks[11] - landmarks[12])[0] + (landmarks[23] - landmarks[24])[0]
    if facing < 0:
        landmarks = landmarks[swapped]
    landmarks = landmarks.copy()
    if (landmarks[1:4] - landmarks[4:7])[:, 0].mean() < 0:
        landmarks[:11] = landmarks[swapped[:11]]
    legs = np.arange(25, 33)
    apart = abs(landmarks[23, 0] - landmarks[24, 0])
    crossed = landmarks[[26, 28], 0] - landmarks[[25, 27], 0]
    if crossed[0] > 0 and crossed[1] > 0.1 * apart:
        landmarks[legs] = landmarks[swapped[legs]]
    if landmarks[23, 0] < landmarks[24, 0]:
        landmarks[[23, 24]] = landmarks[[24, 23]]
    return landmarks


def _walk_out(
    figure: Bool[np.ndarray, "height width"], start: Float[np.ndarray, "2"], direction: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "2"]:
    """The last point of the figure from `start` on along `direction`."""
    height, width = figure.shape
    direction = direction / max(np.linalg.norm(direction), 1e-9)
    steps = start + np.arange(0, max(height, width))[:, None] * direction
    pixel = np.floor(steps).astype(int)
    within = ((pixel >= 0) & (pixel < (width, height))).all(1)
    hit = np.zeros(len(steps), bool)
    hit[within] = figure[pixel[within, 1], pixel[within, 0]]
    return steps[np.flatnonzero(hit)[-1]] if hit.any() else start


def silhouette_score(points: Float[np.ndarray, "20 2"], figure: Bool[np.ndarray, "height width"]) -> float:
    """High when bones lie inside the silhouette, their inscribed discs cover it, forearms are slim and legs long."""
    step = max(1, round(figure.shape[0] / 160))
    small = np.pad(figure[::step, ::step], 1)
    scaled = points / step + 1
    share = np.linspace(0, 1, 9)[:, None]
    samples = np.concatenate([scaled[a] + share * (scaled[b] - scaled[a]) for a, b in BONES])
    pixel = np.floor(samples).astype(int)
    within = ((pixel >= 0) & (pixel < small.shape[::-1])).all(1)
    depth = ndimage.distance_transform_edt(small)
    radius = np.zeros(len(samples))
    radius[within] = depth[pixel[within, 1], pixel[within, 0]]
    if not radius.any():
        return -10.0
    inside = np.mean(radius > 0)
    # Arms that lie in the figure's bulk (a large head, a hood) neither explain it nor are they likely.
    of_bone = np.repeat(np.arange(len(BONES)), len(share))
    fore = np.isin(of_bone, [index for index, (a, _) in enumerate(BONES) if POINTS[a].endswith(("elbow", "wrist"))])
    trunk = max(float(np.median(radius[of_bone == BONES.index((_INDEX["neck"], _INDEX["hips"]))])), 1.0)
    bulk = float(np.mean(np.clip(radius[fore] / trunk - 0.6, 0, 1)))
    radius[fore] = np.minimum(radius[fore], 0.6 * trunk)
    covered = np.zeros(small.shape, np.uint8)
    for (x, y), r in zip(pixel[radius > 0].tolist(), radius[radius > 0], strict=True):
        cv2.circle(covered, (x, y), round(float(r)), 1, -1)
    tall = np.ptp(np.flatnonzero(small.any(1))) + 1
    # Hair, hats and hoods may reach far from the head; below the neck a figure is made of limbs and trunk.
    below = small & (np.arange(small.shape[0])[:, None] > scaled[_INDEX["neck"], 1])
    if not below.any():
        return -10.0
    missed = ndimage.distance_transform_edt(covered == 0)[below]
    far = np.quantile(missed, 0.95) / tall
    legs = [np.linalg.norm(points[_INDEX[f"{s}_ankle"]] - points[_INDEX[f"{s}_hip"]]) for s in ("left", "right")]
    trunk_length = np.linalg.norm(points[_INDEX["neck"]] - points[_INDEX["hips"]])
    stumpy = max(float(trunk_length / max(np.mean(legs), 1e-9)) - 0.9, 0.0)
    return float(inside - 3.0 * far - np.mean(missed > 0) - bulk - 0.8 * min(stumpy, 1.0))


def read_joints(path: Path) -> FigureJoints:
    """Joints placed by hand: a JSON file `{"left_elbow": [x, y], …}` in pixels of the picture.

    Needed are left/right shoulder, elbow, wrist, hip, knee and ankle, and `head_top`; the other names of POINTS are
    derived when absent. The centre of the top-left pixel is (0.5, 0.5); left is the figure's own left. A
    `char_cfg.yaml` of Meta's AnimatedDrawings is understood too.

    Raises:
        CharacterError: the file is not such a list, or a joint is missing.
    """
    what = "list of joints"
    content = read_bytes(path, what, MAX_JOINTS_BYTES, CharacterError)
    point: dict[str, np.ndarray] = {}
    with reading(path, f"{what} in JSON", CharacterError, 'expected {"left_elbow": [x, y], …} in pixels'):
        text = content.decode()
        data = _drawn_character(text) if path.suffix.lower() in (".yaml", ".yml") else json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("it holds no names")
        for name, value in data.items():
            if name not in _INDEX:
                raise CharacterError(f"{path} names a joint {quoted(name)}; known are {', '.join(POINTS)}")
            if not (isinstance(value, list) and len(value) == 2 and all(_is_pixel(v) for v in value)):
                raise CharacterError(f"{path}: {name} is {quoted(value)}; expected [x, y] in pixels")
            point[name] = np.array(value, np.float64)
    complete = _complete(point, path)
    return FigureJoints(np.stack([complete[name] for name in POINTS]))


def _is_pixel(value: object) -> bool:
    """Whether it is a number that can be a place in, or near, a picture."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST_PX


def _drawn_character(text: str) -> dict[str, list[float]]:
    """The joints of an AnimatedDrawings skeleton, whose `torso` lies between the shoulders and `neck` in the head."""
    entry = re.compile(r"- loc:\s+- (-?[\d.]+)\s+- (-?[\d.]+)\s+name: (\w+)")
    found: dict[str, list[float]] = {name: [float(x) + 0.5, float(y) + 0.5] for x, y, name in entry.findall(text)}
    renamed: dict[str, str] = {"hip": "hips", "left_hand": "left_wrist", "right_hand": "right_wrist"}
    renamed |= {"left_foot": "left_ankle", "right_foot": "right_ankle"}
    points = {renamed.get(name, name): value for name, value in found.items() if name not in ("root", "torso", "neck")}
    if "torso" in found and "neck" in found:
        (chest_x, chest_y), (head_x, head_y) = found["torso"], found["neck"]
        points["head_top"] = [head_x + 0.8 * (head_x - chest_x), head_y + 0.8 * (head_y - chest_y)]
    return points


def _complete(point: dict[str, Float[np.ndarray, "2"]], path: Path) -> dict[str, Float[np.ndarray, "2"]]:
    """Derive the points that follow from the others."""
    needed = ["head_top"] + [
        f"{side}_{name}"
        for side in ("left", "right")
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    ]
    missing = [name for name in needed if name not in point]
    if missing:
        raise CharacterError(f"{path} lacks the joints {', '.join(missing)}")
    full = dict(point)
    shoulders = 0.5 * (point["left_shoulder"] + point["right_shoulder"])
    full.setdefault("hips", 0.5 * (point["left_hip"] + point["right_hip"]))
    full.setdefault("neck", shoulders + 0.1 * (point["head_top"] - shoulders))
    full.setdefault("head", shoulders + 0.3 * (point["head_top"] - shoulders))
    down = full["hips"] - shoulders
    for side, out in (("left", 1.0), ("right", -1.0)):
        fore = point[f"{side}_wrist"] - point[f"{side}_elbow"]
        full.setdefault(f"{side}_hand", point[f"{side}_wrist"] + 0.5 * fore)
        full.setdefault(
            f"{side}_toe", point[f"{side}_ankle"] + 0.2 * down + np.array([out * 0.05 * np.linalg.norm(down), 0])
        )
    return full
