"""Joints for the loose parts of characters that we make: locks of hair, skirts, capes, tails on springs.

A lock or a tail gets one chain; a cape some beside each other, a skirt some around the body. At rest they change
nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

from understudy.characters.twist_joints import dense_weights
from understudy.core.character import Character
from understudy.core.motion import Skeleton
from understudy.core.springs import Collider, SpringBone, SpringChain
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.skinning import strongest_influences
from understudy.geometry.vectors import triple

__all__ = ["LOOSE", "with_spring_joints"]

LOOSE = ("", "hair", "skirt", "cape", "beside")
"""What a vertex may be of; beside: tails, wings and bags."""
GRAVITY = 9.81 / 60
"""In the unit of springs."""


@dataclass(frozen=True)
class _Kind:
    """How a loose part hangs."""

    on: str
    bones: int
    stiffness: float
    drag: float
    gravity: float
    meets: tuple[tuple[str, str], ...]
    """Bones of the body that it stays out of, by their ends."""


LEGS = tuple((f"{side}{a}", f"{side}{b}") for side in ("Left", "Right") for a, b in (("UpLeg", "Leg"), ("Leg", "Foot")))
TRUNK = (("Hips", "Neck"),)
KINDS: Mapping[str, _Kind] = {
    "hair": _Kind("Head", 3, 0.2, 0.15, GRAVITY, TRUNK),
    "skirt": _Kind("Hips", 2, 0.35, 0.2, GRAVITY, LEGS),
    "cape": _Kind("Spine2", 3, 0.12, 0.15, GRAVITY, (*TRUNK, *LEGS)),
    "beside": _Kind("Hips", 3, 0.6, 0.2, 0.3 * GRAVITY, ()),
}
"""Stiffness makes hair swing about once a second, and a skirt twice; drag lets both settle within two swings."""
COLUMNS, SECTORS = 4, 8
"""Chains of a cape and of a skirt."""
MIN_LENGTH, MIN_VERTICES = 0.06, 40
"""Shorter pieces, in heights of the figure, and smaller ones do not swing."""
HELD = 0.03
"""Within so much, in heights, of where a loose part is joined to the body, it follows the body less and less."""
LIMBS = ("LeftArm", "RightArm", "LeftUpLeg", "RightUpLeg")
"""Where the joints start that no loose part follows."""
CARRIERS = ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head")
"""What may carry a wing, a tail or a bag: the one that moves the body most where it is joined to it."""
CLEARANCE = 0.95
"""At rest no bone is pushed: colliders reach so much of the way to the nearest."""


def with_spring_joints(character: Character, loose: Int[np.ndarray, " vertex"]) -> Character:
    """A character whose loose parts (`loose`: places in LOOSE) hang on chains of joints; its rest pose is the same."""
    if not (loose > 0).any():
        return character
    place, graph = _welded(character)
    for number, name in enumerate(LOOSE[1:], 1):
        if KINDS[name].on not in character.roles:
            continue
        for piece in _pieces(graph, place, loose == number, name):
            character = _with_chains(character, name, piece, place, graph)
    return character


def _welded(character: Character) -> tuple[Int[np.ndarray, " vertex"], sparse.csr_matrix]:
    """Which point each vertex is, where seams of the texture split the mesh, and edges between points with lengths."""
    points, place = np.unique(np.round(character.mesh.vertices, 6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    faces = place[character.mesh.faces]
    a, b = faces.ravel(), np.roll(faces, 1, axis=1).ravel()
    length = np.linalg.norm(points[a] - points[b], axis=1) + 1e-9
    edges = np.unique(np.sort(np.stack([a, b], 1), axis=1), axis=0, return_index=True)[1]
    graph = sparse.coo_matrix((length[edges], (a[edges], b[edges])), (len(points), len(points)))
    return place, (graph + graph.T).tocsr()


def _pieces(
    graph: sparse.csr_matrix,
    place: Int[np.ndarray, " vertex"],
    mine: Bool[np.ndarray, " vertex"],
    name: str,
) -> Iterator[Bool[np.ndarray, " point"]]:
    """The points of each piece that is joined and large; of skirts and capes the largest alone."""
    points = np.zeros(graph.shape[0], bool)
    points[place[mine]] = True
    inside = np.flatnonzero(points)
    _, label = connected_components(graph[inside][:, inside], directed=False)
    sizes = np.bincount(label, minlength=1)
    order = np.argsort(-sizes, kind="stable")
    for piece in order[:1] if name in ("skirt", "cape") else order:
        if sizes[piece] >= MIN_VERTICES:
            chosen = np.zeros(len(points), bool)
            chosen[inside[label == piece]] = True
            yield chosen


def _with_chains(
    character: Character,
    name: str,
    piece: Bool[np.ndarray, " point"],
    place: Int[np.ndarray, " vertex"],
    graph: sparse.csr_matrix,
) -> Character:
    kind, skeleton, roles = KINDS[name], character.skeleton, character.roles
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    height, mine = character.height_m, piece[place]
    on = _carrier(character, graph, piece, place) if name == "beside" else roles[kind.on]
    free = np.clip(_from_body(graph, piece)[place][mine] / (HELD * height), 0.0, 1.0)
    weights = _without_limbs(character, mine, free, on)
    skin_joints, skin_weights = strongest_influences(weights)
    character = replace(character, skin_joints=skin_joints, skin_weights=skin_weights)
    vertices = character.mesh.vertices[mine]
    along = _along(name, vertices, rest[on, :3, 3], rest[roles["Neck"], :3, 3])
    if np.ptp(along) < MIN_LENGTH * height:
        return character
    share = (along - along.min()) / np.ptp(along)
    hats = _hats(name, vertices)
    lines = [_line(vertices, share, hat, kind.bones) for hat in hats.T]
    lines = [(hat, line) for hat, line in zip(hats.T, lines, strict=True) if line is not None]
    if not lines:
        return character
    names, parents, local = list(skeleton.names), list(skeleton.parents), list(skeleton.T_parent_joint)
    given = np.zeros((len(vertices), len(lines) * kind.bones))
    chains: list[tuple[SpringBone, ...]] = []
    first = sum(chain.name.startswith(name) for chain in character.springs)
    for number, (hat, line) in enumerate(lines):
        R = rest[on, :3, :3]
        bones: list[SpringBone] = []
        above, start = on, rest[on, :3, 3]
        for bone, (head, tail) in enumerate(pairwise(line)):
            T = np.eye(4)
            T[:3, 3] = R.T @ (head - start)
            names.append(f"{name.capitalize()}{first + number + 1}_{bone + 1}")
            parents.append(above)
            local.append(T)
            above, start = len(names) - 1, head
            bones.append(SpringBone(above, triple(R.T @ (tail - head)), kind.stiffness, kind.drag, kind.gravity))
        chains.append(tuple(bones))
        knots = (np.arange(kind.bones) + 0.5) / kind.bones
        for bone in range(kind.bones):
            own = np.interp(share, knots, np.eye(kind.bones)[bone])
            given[:, number * kind.bones + bone] = own * hat
    given *= (free * np.clip(2 * kind.bones * share, 0.0, 1.0))[:, None]
    weights = np.pad(weights, ((0, 0), (0, given.shape[1])))
    weights[mine] *= 1 - given.sum(1, keepdims=True)
    weights[mine, len(skeleton) :] = given
    skin_joints, skin_weights = strongest_influences(weights)
    longer = Skeleton(tuple(names), tuple(parents), np.array(local))
    springs = tuple(
        SpringChain(f"{name} {first + number}", bones, _colliders(character, rest, kind, line[1:]), balanced=True)
        for number, (bones, (_, line)) in enumerate(zip(chains, lines, strict=True), 1)
    )
    return replace(
        character,
        skeleton=longer,
        T_joint_mesh=np.concatenate(
            [character.T_joint_mesh, invert(rest_pose(longer.parents, longer.T_parent_joint))[len(skeleton) :]]
        ),
        skin_joints=skin_joints,
        skin_weights=skin_weights,
        springs=(*character.springs, *springs),
    )


def _carrier(
    character: Character,
    graph: sparse.csr_matrix,
    piece: Bool[np.ndarray, " point"],
    place: Int[np.ndarray, " vertex"],
) -> int:
    """The joint among CARRIERS that moves the body most where a piece is joined to it."""
    joints = [character.roles[name] for name in CARRIERS if name in character.roles]
    beside = ((graph @ piece.astype(float) > 0) & ~piece)[place]
    return joints[int(dense_weights(character)[beside][:, joints].sum(0).argmax())]


def _without_limbs(
    character: Character, mine: Bool[np.ndarray, " vertex"], free: Float[np.ndarray, " own"], on: int
) -> Float[np.ndarray, "vertex joint"]:
    """Weights of which a loose part leaves those of arms and legs to `on`, the more the freer its vertices are."""
    weights = dense_weights(character)
    of_limb = np.isin(np.arange(len(character.skeleton)), [character.roles[n] for n in LIMBS if n in character.roles])
    for joint, parent in enumerate(character.skeleton.parents):
        of_limb[joint] |= parent >= 0 and of_limb[parent]
    taken = weights[np.ix_(mine, of_limb)] * free[:, None]
    weights[np.ix_(mine, of_limb)] -= taken
    weights[mine, on] += taken.sum(1)
    return weights


def _along(
    name: str, vertices: Float[np.ndarray, "vertex 3"], on: Float[np.ndarray, "3"], neck: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " vertex"]:
    """How far along a loose part a place is: downwards; of tails and wings away from the trunk, in metres."""
    if name != "beside":
        return -vertices[:, 1]
    axis = neck - on
    share = np.clip((vertices - on) @ axis / max(axis @ axis, 1e-12), 0.0, 1.0)
    return np.linalg.norm(vertices - on - share[:, None] * axis, axis=1)


def _hats(name: str, vertices: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "vertex chain"]:
    """How much each of the chains beside each other has of a place; rows sum to one."""
    if name == "cape":
        x = vertices[:, 0]
        left, right = np.quantile(x, (0.05, 0.95))
        knots = np.linspace(left, right, COLUMNS)
        return np.stack([np.interp(x, knots, hat) for hat in np.eye(COLUMNS)], 1)
    if name == "skirt":
        middle = 0.5 * (vertices.min(0) + vertices.max(0))
        x, _, z = ((vertices - middle) / np.maximum(np.ptp(vertices, axis=0), 1e-9)).T
        turn = np.arctan2(x, z) / (2 * np.pi) * SECTORS
        away = np.abs((turn[:, None] - np.arange(SECTORS) + SECTORS / 2) % SECTORS - SECTORS / 2)
        return np.maximum(1 - away, 0.0)
    return np.ones((len(vertices), 1))


def _line(
    vertices: Float[np.ndarray, "vertex 3"],
    share: Float[np.ndarray, " vertex"],
    hat: Float[np.ndarray, " vertex"],
    bones: int,
) -> Float[np.ndarray, "joint 3"] | None:
    """Where a chain's joints stand: amid its vertices, at even steps; None where it has none at a step."""
    line = []
    for step in np.arange(bones + 1) / bones:
        weight = hat * np.maximum(1 - 2 * bones * np.abs(share - step), 0.0)
        if weight.sum() <= 0:
            return None
        line.append(weight @ vertices / weight.sum())
    return np.array(line) if (np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-4).all() else None


def _from_body(graph: sparse.csr_matrix, piece: Bool[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
    """How far each point is from the nearest that is not of its piece, over the surface, in metres."""
    rest = np.flatnonzero(~piece & (np.diff(graph.indptr) > 0))
    near = np.flatnonzero((graph @ piece.astype(float) > 0) & ~piece)
    if not len(near) or not len(rest):
        return np.full(len(piece), np.inf)
    return np.asarray(dijkstra(graph, directed=False, indices=near, min_only=True))


def _colliders(
    character: Character, rest: Float[np.ndarray, "joint 4 4"], kind: _Kind, tails: Float[np.ndarray, "bone 3"]
) -> tuple[Collider, ...]:
    """Capsules along bones of the body, as thick as the body is there, but short of a chain's tails at rest."""
    roles, found = character.roles, list[Collider]()
    strongest = character.skin_joints[np.arange(len(character.skin_joints)), character.skin_weights.argmax(1)]
    hips = 0.25 * np.linalg.norm(rest[roles["LeftUpLeg"], :3, 3] - rest[roles["RightUpLeg"], :3, 3])
    for a, b in kind.meets:
        if a not in roles or b not in roles:
            continue
        start, end = rest[roles[a], :3, 3], rest[roles[b], :3, 3]
        own = [roles[name] for name in ((a, "Spine", "Spine1", "Spine2") if a == "Hips" else (a,)) if name in roles]
        skin = character.mesh.vertices[np.isin(strongest, own)]
        radius = float(np.median(_distance(skin, start, end))) if len(skin) else float(hips)
        radius = min(radius, CLEARANCE * float(_distance(tails, start, end).min()))
        into = rest[roles[a], :3, :3].T
        found.append(Collider(roles[a], (0.0, 0.0, 0.0), triple(into @ (end - start)), radius))
    return tuple(found)


def _distance(
    places: Float[np.ndarray, "place 3"], start: Float[np.ndarray, "3"], end: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " place"]:
    along = end - start
    share = np.clip((places - start) @ along / max(along @ along, 1e-12), 0.0, 1.0)
    return np.linalg.norm(places - start - share[:, None] * along, axis=1)
