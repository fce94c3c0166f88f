"""Sets put together from rectangles and boxes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.character import Character, Material, Mesh
from understudy.core.motion import Skeleton

__all__ = ["Builder"]

Place = Sequence[float | int] | Float[np.ndarray, "3"]
"""A point or an extent in the world: x, y, z in metres."""


class Builder:
    """Collects textured rectangles in the world and gives them out as one rigid character."""

    def __init__(self) -> None:
        self._materials: list[Material] = []
        self._vertices: list[np.ndarray] = []
        self._normals: list[np.ndarray] = []
        self._uv: list[np.ndarray] = []
        self._face_material: list[int] = []

    def material(self, material: Material) -> int:
        """Add a material; gives its number for the methods below."""
        self._materials.append(material)
        return len(self._materials) - 1

    def matt(self, texture: UInt8[np.ndarray, "height width 4"], roughness: float = 0.95) -> int:
        """Add a textured material that hardly shines; gives its number."""
        return self.material(Material(texture=texture, roughness=roughness))

    def rectangle(
        self,
        corner: Place,
        along: Place,
        up: Place,
        material: int,
        texture_m: float | None = None,
        offset_uv: Sequence[float] = (0.0, 0.0),
    ) -> None:
        """A rectangle that faces along × up: from its lower left corner along its lower edge and its left edge.

        The texture repeats every `texture_m` metres; None: it fills the rectangle once.
        """
        c, a, u = (np.asarray(v, float) for v in (corner, along, up))
        normal = np.cross(a, u)
        width, height = (
            (1.0, 1.0) if texture_m is None else (np.linalg.norm(a) / texture_m, np.linalg.norm(u) / texture_m)
        )
        uv = np.array([[0, height], [width, height], [width, 0], [0, 0]]) + np.asarray(offset_uv)
        self._quad(
            np.stack([c, c + a, c + a + u, c + u]), np.tile(normal / np.linalg.norm(normal), (4, 1)), uv, material
        )

    def box(
        self,
        low: Place,
        size: Place,
        material: int,
        texture_m: float | None = None,
        turn_rad: float = 0.0,
    ) -> None:
        """A box standing on its lowest corner's height, turned about the vertical through its middle; no underside."""
        x, y, z = np.eye(3) * np.asarray(size, float)
        c = np.asarray(low, float)
        middle = c + (x + z) / 2
        cos, sin = np.cos(turn_rad), np.sin(turn_rad)
        R = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        sides = ((c + z, x, y), (c + x + z, -z, y), (c + x, -x, y), (c, z, y), (c + y + z, x, -z))
        for number, (corner, along, up) in enumerate(sides):
            self.rectangle(middle + R @ (corner - middle), R @ along, R @ up, material, texture_m, (0.23 * number, 0.0))

    def cylinder(
        self,
        base: Place,
        radius_m: Sequence[float],
        height_m: float,
        material: int,
        texture_m: float | None = None,
        sides: int = 20,
        lid: bool = True,
    ) -> None:
        """A round post, pot or barrel on its base's centre; `radius_m` at equal heights from below to above."""
        angle = np.linspace(0, 2 * np.pi, sides + 1)
        out = np.stack([np.sin(angle), np.zeros(sides + 1), np.cos(angle)], 1)
        levels = np.linspace(0, height_m, len(radius_m))
        around = 1.0 if texture_m is None else max(1.0, round(2 * np.pi * max(radius_m) / texture_m))
        tall = 1.0 if texture_m is None else height_m / texture_m
        rings = [np.asarray(base, float) + r * out + [0, y, 0] for r, y in zip(radius_m, levels, strict=True)]
        for ring in range(len(rings) - 1):
            slope = (radius_m[ring] - radius_m[ring + 1]) / (levels[ring + 1] - levels[ring])
            normals = (out + [0, slope, 0]) / np.hypot(1.0, slope)
            v0, v1 = 1 - levels[ring] / height_m, 1 - levels[ring + 1] / height_m
            for i in range(sides):
                at = [i, i + 1]
                corners = np.concatenate([rings[ring][at], rings[ring + 1][at[::-1]]])
                u = np.array([i, i + 1, i + 1, i]) / sides * around
                uv = np.stack([u, np.array([v0, v0, v1, v1]) * tall], 1)
                self._quad(corners, normals[[i, i + 1, i + 1, i]], uv, material)
        if lid:
            top = rings[-1]
            centre = np.asarray(base, float) + [0, height_m, 0]
            for i in range(0, sides, 2):
                corners = np.stack([centre, top[i], top[i + 1], top[i + 2 if i + 2 <= sides else 0]])
                uv = 0.5 + (corners - centre)[:, [0, 2]] / (2 * radius_m[-1])
                self._quad(corners, np.tile([0.0, 1.0, 0.0], (4, 1)), uv, material)

    def _quad(
        self,
        corners: Float[np.ndarray, "4 3"],
        normals: Float[np.ndarray, "4 3"],
        uv: Float[np.ndarray, "4 2"],
        material: int,
    ) -> None:
        self._vertices.append(corners)
        self._normals.append(normals)
        self._uv.append(uv)
        self._face_material += [material, material]

    def build(self, name: str) -> Character:
        """Everything collected, rigid, on one joint at the world's origin."""
        first = 4 * np.arange(len(self._vertices))[:, None]
        faces = np.stack([first + [0, 1, 2], first + [0, 2, 3]], 1).reshape(-1, 3)
        mesh = Mesh(
            np.concatenate(self._vertices),
            faces,
            np.concatenate(self._normals),
            np.concatenate(self._uv),
            np.array(self._face_material),
            tuple(self._materials),
        )
        count = len(mesh.vertices)
        skeleton = Skeleton(("set",), (-1,), np.eye(4)[None])
        return Character(name, mesh, skeleton, np.eye(4)[None], np.zeros((count, 1), int), np.ones((count, 1)))
