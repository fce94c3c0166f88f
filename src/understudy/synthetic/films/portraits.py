"""Pictures of whole figures before plain backdrops, as studios take them, and where each figure is in its picture."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.body.model import LANDMARK_JOINTS, BodyModel, ShapedBody
from understudy.core.camera import CameraPath
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.projection import intrinsics, project
from understudy.geometry.rigid import transform
from understudy.geometry.rotations import look_at, quaternion_from_vector
from understudy.geometry.vectors import smooth_step
from understudy.imaging.colour import srgb_from_linear
from understudy.render.backends.opengl import OpenGL
from understudy.synthetic.people.actors import ACTORS, ActorName, shape_for_build
from understudy.synthetic.people.people import Colour, Outfit, dressed
from understudy.synthetic.people.worn import long_hair_surface, skirt_surface, worn
from understudy.synthetic.textures import noise

__all__ = ["PORTRAITS", "Portrait", "PortraitConfig", "StudioBackdrop", "take_portrait"]

_LARGE = 2
"""Figures are drawn this much larger and made smaller, for clean edges."""
_DISTANCE_M = 7.0

Stance = Literal["a_pose", "t_pose", "arms_down", "stride", "hands_up", "hip"]
_STANCES: dict[Stance, dict[str, tuple[float, float, float]]] = {
    "a_pose": {"Arm": (0.0, 0.0, -0.95), "ForeArm": (0.0, -0.22, 0.0), "UpLeg": (0.0, 0.0, 0.09)},
    "t_pose": {"Arm": (0.0, 0.0, -0.1), "UpLeg": (0.0, 0.0, 0.05)},
    "arms_down": {"Arm": (0.0, 0.0, -1.32), "ForeArm": (0.0, -0.15, 0.0), "UpLeg": (0.0, 0.0, 0.02)},
    "stride": {"Arm": (0.0, 0.0, -1.15), "ForeArm": (0.0, -0.3, 0.0), "UpLeg": (0.0, 0.0, 0.16)},
    "hands_up": {"Arm": (0.0, 0.0, 0.55), "ForeArm": (0.0, 0.0, 0.6), "UpLeg": (0.0, 0.0, 0.12)},
    "hip": {"Arm": (0.0, 0.0, -0.75), "ForeArm": (0.0, 0.0, -1.5), "UpLeg": (0.0, 0.0, 0.10)},
}
"""Turns of the left side's joints (x, y, z in radians); the right side is mirrored."""


@dataclass(frozen=True)
class StudioBackdrop:
    """What stands behind the figure, and how it is lit."""

    wall: Colour = (0.92, 0.92, 0.92)
    floor: Colour | None = None
    """None: the wall's colour."""
    wall_behind_m: float = 2.0
    sweep_m: float = 0.0
    """Over how much height wall and floor flow into each other; 0: they meet in a line."""
    skirting: Colour | None = None
    """A board of 9 cm along the wall's foot."""
    gradient: float = 0.0
    """How much darker the wall is at the top than at the bottom, as a share."""
    vignette: float = 0.0
    """How much darker the corners are, as a share."""
    busy: float = 0.0
    """Contrast of things of all colours and sizes, 0 … 1."""
    cast: float = 0.0
    """How much light the cast shadow takes, 0 … 1."""
    contact: float = 0.0
    """How much light is missing right under the feet, 0 … 1."""
    pool: float = 0.0
    """How much light a soft oval around both feet takes, as picture makers paint it, 0 … 1."""
    softness_deg: float = 6.0
    """The key light's angular radius."""
    key: tuple[float, float, float] = (-0.55, 1.1, 1.0)
    """Towards the key light."""
    on_wall: float = 0.0
    """How much light the shadow on a wall close behind takes, 0 … 1."""


@dataclass(frozen=True)
class PortraitConfig:
    """One picture."""

    name: str
    build: ActorName = "woman"
    outfit: Outfit = field(default_factory=Outfit)
    stance: Stance = "a_pose"
    turn_rad: float = 0.0
    """How far the figure is turned to its left."""
    skirt: Colour | None = None
    skirt_m: float = 0.5
    long_hair_m: float = 0.0
    """How far below the chin the hair falls; 0: short."""
    backdrop: StudioBackdrop = field(default_factory=StudioBackdrop)
    exposure: float = 1.0
    """Of the figure's light."""
    noise: float = 0.0
    """Standard deviation, as a share of white."""
    jpeg: int | None = None
    """Quality 0 … 100; None: no JPEG."""
    width: int = 620
    height: int = 860
    seed: int = 0


@dataclass(frozen=True)
class Portrait:
    """A picture and what is known of it."""

    rgb: UInt8[np.ndarray, "height width 3"]
    share: Float[np.ndarray, "height width"]
    """How much of each pixel the figure covers, 0 … 1."""
    landmarks_px: Float[np.ndarray, "33 2"]
    """Of the body below the clothes (core.footage.LANDMARKS)."""


def take_portrait(config: PortraitConfig) -> Portrait:
    """Pose, light and photograph one figure."""
    model, rng = BodyModel.load(), np.random.default_rng(config.seed)
    shape = shape_for_build(model, ACTORS[config.build])
    body, person = model.shaped(shape), dressed(model, shape, config.outfit, seed=config.seed)
    motion, T_world_joint = _pose(person.skeleton, config)
    performances = [Performance(person, motion)]
    if config.skirt is not None:
        skirt = worn(skirt_surface(body, config.skirt_m), body, "Hips", person.skeleton, config.skirt)
        performances.append(Performance(skirt, motion))
    if config.long_hair_m > 0:
        surface = long_hair_surface(body, config.long_hair_m)
        hair = worn(surface, body, "Head", person.skeleton, config.outfit.hair)
        performances.append(Performance(hair, motion))
    backdrop = config.backdrop
    to_key = np.array(backdrop.key) / np.linalg.norm(backdrop.key)
    light = Light(
        to_key,
        np.array([0.80, 0.77, 0.73]) * config.exposure,
        np.array([0.42, 0.44, 0.48]) * config.exposure,
        np.array([0.32, 0.30, 0.28]) * config.exposure,
        np.radians(backdrop.softness_deg),
    )
    camera = _camera(config, ACTORS[config.build].height_m)
    options = OpenGL(shadow_map_px=2048, ground_shadow=True, contact_strength=1.0, contact_reach_m=0.12)
    with options.build() as renderer:
        passes = renderer(Take(tuple(performances), camera, light), 0)
    small = cv2.resize(
        np.dstack([passes.colour, passes.alpha, passes.shadow]), (config.width, config.height),
        interpolation=cv2.INTER_AREA,
    ).astype(np.float64)  # fmt: skip
    colour, share, shadow = small[..., :3], np.clip(small[..., 3], 0, 1), small[..., 4]
    behind = _behind(config, camera, share, shadow, rng)
    rgb = _developed(colour + (1 - share)[..., None] * behind, config, rng)
    landmarks = project(camera.K[0], transform(camera.T_camera_world[0], _landmarks(body, T_world_joint))) / _LARGE
    return Portrait(rgb, share, landmarks)


def _pose(skeleton: Skeleton, config: PortraitConfig) -> tuple[Motion, Float[np.ndarray, "22 4 4"]]:
    q = np.zeros((1, len(BODY_JOINTS), 4))
    q[..., 0] = 1.0
    q[0, 0] = quaternion_from_vector(np.array([0.0, config.turn_rad, 0.0]))
    for part, (x, y, z) in _STANCES[config.stance].items():
        for side, sign in (("Left", 1.0), ("Right", -1.0)):
            q[0, BODY_JOINTS.index(side + part)] = quaternion_from_vector(np.array([x, sign * y, sign * z]))
            if part == "UpLeg":
                q[0, BODY_JOINTS.index(side + "Foot")] = quaternion_from_vector(np.array([0.0, 0.25 * sign, -sign * z]))
    if config.stance == "stride":
        for joint, turn in (("LeftUpLeg", -0.30), ("RightUpLeg", 0.22), ("RightLeg", 0.25), ("LeftArm", 0.3)):
            index = BODY_JOINTS.index(joint)
            q[0, index] = quaternion_from_vector(
                2 * np.arcsin(np.linalg.norm(q[0, index, 1:])) * q[0, index, 1:]
                / max(float(np.linalg.norm(q[0, index, 1:])), 1e-9) + np.array([turn, 0.0, 0.0])
            )  # fmt: skip
    hips = skeleton.T_parent_joint[:1, :3, 3].copy()
    offsets = skeleton.T_parent_joint[:, :3, 3]
    toes = [BODY_JOINTS.index(f"{side}ToeBase") for side in ("Left", "Right")]
    rest = forward_kinematics(skeleton.parents, offsets, np.eye(4)[np.zeros(len(offsets), int)], hips[0])
    posed = forward_kinematics(skeleton.parents, offsets, q[0], hips[0])
    hips[0, 1] += float(rest[toes, 1, 3].min() - posed[toes, 1, 3].min())
    motion = Motion(skeleton, q, hips, Fraction(24))
    return motion, forward_kinematics(skeleton.parents, offsets, q[0], hips[0])


def _landmarks(body: ShapedBody, T_world_joint: Float[np.ndarray, "22 4 4"]) -> Float[np.ndarray, "33 3"]:
    owner = T_world_joint[list(LANDMARK_JOINTS)]
    return np.einsum("nij,nj->ni", owner[:, :3, :3], body.landmark_offsets) + owner[:, :3, 3]


def _camera(config: PortraitConfig, height_m: float) -> CameraPath:
    size = (config.width * _LARGE, config.height * _LARGE)
    reach_m = max(height_m * (1.25 if config.stance == "hands_up" else 1.0), 1e-6)
    focal_px = 0.84 * size[1] / reach_m * _DISTANCE_M
    T = look_at(np.array([0.0, 0.75 * height_m, _DISTANCE_M]), np.array([0.0, 0.49 * reach_m, 0.0]))
    return CameraPath(T[None], intrinsics(focal_px, *size)[None], *size, Fraction(24))


def _behind(
    config: PortraitConfig,
    camera: CameraPath,
    share: Float[np.ndarray, "height width"],
    shadow: Float[np.ndarray, "height width"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "height width 3"]:
    """Linear light of wall and floor, with the figure's shadow on them."""
    drop, (height, width) = config.backdrop, share.shape
    y, x = np.mgrid[:height, :width] + 0.5
    foot = camera.T_camera_world[0] @ [0.0, 0.0, -drop.wall_behind_m, 1.0]
    line = float((camera.K[0] @ foot[:3])[1] / foot[2]) / _LARGE
    px_per_m = float(camera.K[0, 0, 0] / foot[2]) / _LARGE
    wall, floor = (np.array(colour) ** 2.2 for colour in (drop.wall, drop.floor or drop.wall))
    edge = max(drop.sweep_m * px_per_m, 1.0)
    on_floor = smooth_step((y - line) / edge + 0.5)[..., None]
    wall_light = wall * (1 - drop.gradient * (1 - y / height))[..., None]
    if drop.skirting is not None:
        board = (y < line) & (y > line - 0.09 * px_per_m)
        wall_light = np.where(board[..., None], np.array(drop.skirting) ** 2.2, wall_light)
    light = on_floor * floor + (1 - on_floor) * wall_light
    if drop.busy > 0:
        light = light * (1 - drop.busy) + drop.busy * _things(height, width, rng)
    cast = np.where(y > line - 0.5 * edge, drop.cast * np.clip(shadow, 0, 1), 0.0)
    under = share * (y > height * 0.86)
    flat = cv2.warpAffine(under, np.array([[1.0, 0, 0], [0, 0.4, 0.6 * height * 0.925]]), (width, height))
    spread = 0.035 * height
    contact = cv2.GaussianBlur(flat, (0, 0), spread, sigmaY=0.3 * spread)
    rows, columns = np.flatnonzero((under > 0.5).any(1)), np.flatnonzero((under > 0.5).any(0))
    oval = np.zeros((height, width))
    middle = (int(columns.mean()), int(rows[-1] - 0.01 * height))
    cv2.ellipse(oval, middle, (int(0.7 * np.ptp(columns)), int(0.03 * height)), 0, 0, 360, 1.0, -1)
    pool = drop.pool * cv2.GaussianBlur(oval, (0, 0), 0.012 * height)
    light = light * ((1 - cast) * (1 - pool) * (1 - drop.contact * np.clip(2.0 * contact, 0, 1)))[..., None]
    if drop.on_wall > 0:
        shift = np.array([[1.0, 0, 0.09 * width * np.sign(drop.key[0])], [0, 1.0, 0.02 * height]])
        moved = cv2.GaussianBlur(cv2.warpAffine(share, shift, (width, height)), (0, 0), 0.012 * height)
        light = light * (1 - drop.on_wall * moved * (1 - on_floor[..., 0]))[..., None]
    corner = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) / 0.5
    return light * (1 - drop.vignette * corner)[..., None]


def _things(height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "height width 3"]:
    """Boxes and clouds of all colours."""
    colours = np.stack([0.5 + 0.4 * noise(rng, height, width, 7, 5, 0.7) for _ in range(3)], -1)
    for _ in range(60):
        side = rng.uniform(0.03, 0.25, 2) * (width, height)
        left, top = rng.uniform(0, 1, 2) * (width, height) - side / 2
        low, high = (max(int(left), 0), max(int(top), 0)), (int(left + side[0]), int(top + side[1]))
        colours[low[1] : high[1], low[0] : high[0]] = rng.uniform(0.05, 0.95, 3)
    return np.clip(cv2.GaussianBlur(colours, (0, 0), 1.2), 0, 1) ** 2.2


def _developed(
    light: Float[np.ndarray, "height width 3"], config: PortraitConfig, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    light = np.clip(light, 0, 1)
    coded = srgb_from_linear(light)
    if config.noise > 0:
        coded = coded + config.noise * rng.standard_normal(coded.shape)
    rgb = (np.clip(coded, 0, 1) * 255 + 0.5).astype(np.uint8)
    if config.jpeg is None:
        return rgb
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, config.jpeg])
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert read is not None  # it was written a line ago
    return np.ascontiguousarray(read[..., ::-1])


_WHITE, _BLACK = (0.93, 0.93, 0.92), (0.06, 0.06, 0.07)
_STUDIO_WHITE, _STUDIO_GREY = (0.96, 0.96, 0.96), (0.62, 0.62, 0.63)
_WHITE_SUIT = Outfit(
    top=(0.90, 0.90, 0.89), second=_WHITE, trousers=(0.90, 0.90, 0.89), shoes=_WHITE, style="jacket", belt=None,
    gloves=_WHITE, scarf=_WHITE, hair=(0.42, 0.27, 0.15),
)  # fmt: skip
_BLACK_SUIT = Outfit(
    top=_BLACK, second=(0.15, 0.15, 0.16), trousers=_BLACK, shoes=(0.05, 0.05, 0.05), style="jacket", belt=None,
    hair=(0.08, 0.06, 0.05),
)  # fmt: skip
_DARK_SUIT = Outfit(top=(0.13, 0.14, 0.18), trousers=(0.13, 0.14, 0.18), shoes=_BLACK, style="jacket")
_RED = Outfit(top=(0.72, 0.20, 0.17), trousers=(0.22, 0.28, 0.42), style="jacket")
_GREY_SUIT = Outfit(top=(0.55, 0.55, 0.56), trousers=(0.45, 0.45, 0.46), shoes=(0.30, 0.30, 0.31), style="jacket")
_STRIPES = Outfit(top=(0.20, 0.36, 0.62), style="stripes", trousers=(0.55, 0.46, 0.33), shoes=(0.85, 0.84, 0.82))
_BLOUSE = Outfit(top=(0.88, 0.86, 0.80), trousers=(0.86, 0.65, 0.53), shoes=(0.16, 0.12, 0.10), belt=None)
_LOW_KEY = (0.7, 0.6, 1.0)
_SIDE_KEY = (-1.3, 0.9, 0.5)

PORTRAITS: tuple[PortraitConfig, ...] = (
    PortraitConfig("white studio", "woman", _RED, backdrop=StudioBackdrop(_STUDIO_WHITE, sweep_m=0.6)),
    PortraitConfig(
        "contact shadow", "man", _RED, backdrop=StudioBackdrop(_STUDIO_WHITE, sweep_m=0.6, pool=0.6), seed=1
    ),
    PortraitConfig(
        "soft cast shadow", "athlete", _STRIPES, "arms_down",
        backdrop=StudioBackdrop((0.85, 0.85, 0.86), sweep_m=0.8, cast=0.35, contact=0.5, softness_deg=14.0), seed=2,
    ),
    PortraitConfig(
        "hard cast shadow", "teenager", _STRIPES, "a_pose",
        backdrop=StudioBackdrop((0.86, 0.84, 0.80), sweep_m=0.8, cast=0.6, contact=0.4, softness_deg=2.0,
                          key=_SIDE_KEY), seed=3,
    ),
    PortraitConfig(
        "shadow behind on grey", "man", _DARK_SUIT, "a_pose",
        backdrop=StudioBackdrop(_STUDIO_GREY, sweep_m=0.7, cast=0.55, contact=0.7, softness_deg=5.0, key=_LOW_KEY),
        seed=4,
    ),
    PortraitConfig(
        "floor line", "woman", _BLOUSE, "arms_down", skirt=(0.25, 0.20, 0.45), skirt_m=0.5,
        backdrop=StudioBackdrop((0.90, 0.89, 0.86), floor=(0.66, 0.60, 0.52), contact=0.5), seed=5,
    ),
    PortraitConfig(
        "floor line, cast shadow", "heavy_man", _RED, "arms_down",
        backdrop=StudioBackdrop((0.82, 0.85, 0.88), floor=(0.52, 0.50, 0.49), cast=0.5, contact=0.6,
                          softness_deg=5.0), seed=6,
    ),
    PortraitConfig(
        "skirting board", "old_man", _GREY_SUIT, "arms_down",
        backdrop=StudioBackdrop((0.88, 0.83, 0.72), floor=(0.55, 0.42, 0.30), skirting=(0.96, 0.96, 0.95),
                          contact=0.5), seed=7,
    ),
    PortraitConfig(
        "strip of wall", "child", _STRIPES, "a_pose",
        backdrop=StudioBackdrop((0.93, 0.93, 0.92), floor=(0.80, 0.80, 0.79), wall_behind_m=0.5, cast=0.35, contact=0.6,
                          key=_SIDE_KEY), seed=8,
    ),
    PortraitConfig(
        "vignette", "small_woman", _RED, "hip", long_hair_m=0.12,
        backdrop=StudioBackdrop((0.80, 0.80, 0.82), sweep_m=0.8, vignette=0.45, contact=0.6), seed=9,
    ),
    PortraitConfig(
        "white suit on white", "man", _WHITE_SUIT, "a_pose", exposure=0.85,
        backdrop=StudioBackdrop((1.0, 1.0, 1.0), sweep_m=0.8), seed=10,
    ),
    PortraitConfig(
        "white suit on white, shadow", "woman", _WHITE_SUIT, "hip", exposure=0.85, long_hair_m=0.08,
        backdrop=StudioBackdrop((0.99, 0.99, 0.99), sweep_m=0.8, cast=0.25, contact=0.5, softness_deg=10.0), seed=11,
    ),
    PortraitConfig(
        "black suit on black", "man", _BLACK_SUIT, "a_pose", exposure=1.3,
        backdrop=StudioBackdrop((0.03, 0.03, 0.035), sweep_m=0.8), seed=12,
    ),
    PortraitConfig(
        "dark suit on dark grey", "thin_tall_man", _DARK_SUIT, "stride", exposure=1.2,
        backdrop=StudioBackdrop((0.32, 0.32, 0.34), sweep_m=0.8, gradient=0.4, cast=0.4, contact=0.5), seed=13,
    ),
    PortraitConfig(
        "grey suit on grey", "man", _GREY_SUIT, "stride",
        backdrop=StudioBackdrop((0.58, 0.58, 0.59), sweep_m=0.8, gradient=0.3, cast=0.4, contact=0.5), seed=14,
    ),
    PortraitConfig(
        "coloured gradient", "girl", _BLOUSE, "hands_up", skirt=(0.75, 0.30, 0.40), skirt_m=0.4, long_hair_m=0.10,
        backdrop=StudioBackdrop((0.45, 0.62, 0.80), sweep_m=1.0, gradient=0.6, contact=0.5, cast=0.3), seed=15,
    ),
    PortraitConfig(
        "noise and JPEG", "woman", _STRIPES, "arms_down", noise=0.025, jpeg=45,
        backdrop=StudioBackdrop((0.78, 0.78, 0.80), sweep_m=0.7, cast=0.4, contact=0.6), seed=16,
    ),
    PortraitConfig(
        "small JPEG", "athlete", _RED, "a_pose", jpeg=30, width=300, height=420,
        backdrop=StudioBackdrop((0.90, 0.90, 0.92), sweep_m=0.7, cast=0.4, contact=0.6), seed=17,
    ),
    PortraitConfig(
        "busy", "man", _RED, "a_pose", backdrop=StudioBackdrop(busy=0.9, floor=(0.4, 0.35, 0.3), contact=0.5), seed=18,
    ),
    PortraitConfig(
        "shadow on the wall", "woman", _BLOUSE, "arms_down", skirt=(0.15, 0.15, 0.18), skirt_m=0.75, long_hair_m=0.2,
        backdrop=StudioBackdrop((0.85, 0.80, 0.74), floor=(0.70, 0.64, 0.58), wall_behind_m=0.6, on_wall=0.35,
                                contact=0.6, cast=0.3), seed=19,
    ),
    PortraitConfig(
        "long shadow to the side", "heavy_woman", _STRIPES, "hip",
        backdrop=StudioBackdrop((0.88, 0.88, 0.88), sweep_m=0.8, cast=0.55, contact=0.5, softness_deg=3.0,
                          key=(-1.6, 0.5, 0.4)), seed=20,
    ),
    PortraitConfig(
        "turned, shadow forwards", "man", _GREY_SUIT, "stride", turn_rad=0.5,
        backdrop=StudioBackdrop((0.90, 0.90, 0.91), sweep_m=0.8, cast=0.5, contact=0.5, key=(0.6, 1.0, -0.9)), seed=21,
    ),
    PortraitConfig(
        "white blouse, floor line", "woman", _BLOUSE, "hip", skirt=(0.92, 0.92, 0.90), skirt_m=0.55, exposure=0.85,
        backdrop=StudioBackdrop((0.97, 0.97, 0.97), floor=(0.86, 0.85, 0.84), contact=0.6), seed=22,
    ),
    PortraitConfig(
        "large, spotlit", "athlete", _DARK_SUIT, "hands_up", width=1200, height=1600, noise=0.01, jpeg=80,
        backdrop=StudioBackdrop((0.70, 0.66, 0.60), sweep_m=0.8, vignette=0.7, cast=0.5, contact=0.7), seed=23,
    ),
)  # fmt: skip
"""24 figures: clothes near and far from their backdrop's colour, every kind of shadow, lines and strips behind them."""
