"""Rotations as matrices, unit quaternions (wxyz) and rotation vectors (radians)."""

import numpy as np
from jaxtyping import Float

__all__ = [
    "continuous",
    "cross_matrix",
    "look_at",
    "matrix_from_quaternion",
    "matrix_from_vector",
    "quaternion_from_matrix",
    "quaternion_from_vector",
    "quaternion_inverse",
    "quaternion_multiply",
    "rotation_angle",
    "rotation_between",
    "slerp",
    "vector_from_matrix",
    "vector_from_quaternion",
]


def cross_matrix(v: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """The matrix [v]× for which [v]× w = v × w."""
    m = np.zeros((*v.shape[:-1], 3, 3), v.dtype)
    m[..., 0, 1], m[..., 0, 2] = -v[..., 2], v[..., 1]
    m[..., 1, 0], m[..., 1, 2] = v[..., 2], -v[..., 0]
    m[..., 2, 0], m[..., 2, 1] = -v[..., 1], v[..., 0]
    return m


def quaternion_multiply(
    a: Float[np.ndarray, "*#batch 4"], b: Float[np.ndarray, "*#batch 4"]
) -> Float[np.ndarray, "*#batch 4"]:
    """The rotation b, then a (as matrices: A @ B)."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def quaternion_inverse(q: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 4"]:
    """The opposite rotation of a unit quaternion."""
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def matrix_from_quaternion(q: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Quaternions of any length but zero, as rotation matrices."""
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quaternion_from_matrix(R: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 4"]:
    """Rotation matrices as unit quaternions with w ≥ 0.

    Source: Shepperd 1978: of four formulas, the one whose divisor is largest.
    """
    m = R.astype(np.float64)
    trace = np.trace(m, axis1=-2, axis2=-1)
    diagonal = np.diagonal(m, axis1=-2, axis2=-1)
    squares = np.concatenate([trace[..., None], diagonal], -1)
    best = squares.argmax(-1)
    m00, m11, m22 = np.moveaxis(diagonal, -1, 0)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    candidates = np.stack(
        [
            np.stack([1 + trace, a, b, c], -1),
            np.stack([a, 1 + m00 - m11 - m22, d, e], -1),
            np.stack([b, d, 1 - m00 + m11 - m22, f], -1),
            np.stack([c, e, f, 1 - m00 - m11 + m22], -1),
        ],
        -2,
    )
    q: Float[np.ndarray, "*batch 4"] = np.take_along_axis(candidates, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def quaternion_from_vector(v: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 4"]:
    """Rotation vectors (axis times angle) as unit quaternions."""
    half = 0.5 * np.linalg.norm(v, axis=-1, keepdims=True)
    return np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * v], -1)


def vector_from_quaternion(q: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 3"]:
    """Unit quaternions as rotation vectors of length ≤ π."""
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)


def matrix_from_vector(v: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Rotation vectors as matrices (Rodrigues)."""
    return matrix_from_quaternion(quaternion_from_vector(v))


def vector_from_matrix(R: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Rotation matrices as rotation vectors of length ≤ π."""
    return vector_from_quaternion(quaternion_from_matrix(R))


def rotation_angle(R: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch"]:
    """The angle of each rotation, 0 … π, exact for small angles too."""
    return np.linalg.norm(vector_from_matrix(R), axis=-1)


def rotation_between(
    a: Float[np.ndarray, "*#batch 3"], b: Float[np.ndarray, "*#batch 3"]
) -> Float[np.ndarray, "*#batch 3 3"]:
    """The shortest rotation that turns direction a into direction b; for opposite ones, any half turn."""
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    a, b = np.broadcast_arrays(a, b)
    w = 1 + np.einsum("...i,...i->...", a, b)
    # Any axis across a serves a half turn: the one farthest from a's largest component.
    across = np.cross(a, np.eye(3)[np.abs(a).argmin(-1)])
    opposite = (w < 1e-9)[..., None]
    axis = np.where(opposite, across, np.cross(a, b))
    return matrix_from_quaternion(np.concatenate([np.where(opposite[..., 0], 0.0, w)[..., None], axis], -1))


def continuous(q: Float[np.ndarray, "time *batch 4"]) -> Float[np.ndarray, "time *batch 4"]:
    """The same rotations with signs chosen so that neighbours in time lie close."""
    flips = np.einsum("t...i,t...i->t...", q[1:], q[:-1]) < 0
    sign = np.where(np.cumsum(flips, 0) % 2 == 1, -1.0, 1.0)
    return np.concatenate([q[:1], q[1:] * sign[..., None]])


def slerp(
    a: Float[np.ndarray, "*#batch 4"], b: Float[np.ndarray, "*#batch 4"], share: Float[np.ndarray, "*#batch"]
) -> Float[np.ndarray, "*#batch 4"]:
    """From a (share 0) to b (share 1) along the shorter arc at constant speed."""
    step = vector_from_quaternion(quaternion_multiply(quaternion_inverse(a), b))
    return quaternion_multiply(a, quaternion_from_vector(step * np.asarray(share)[..., None]))


def look_at(
    position: Float[np.ndarray, "*#batch 3"],
    target: Float[np.ndarray, "*#batch 3"],
    roll_rad: float | Float[np.ndarray, "*#batch"] = 0.0,
) -> Float[np.ndarray, "*#batch 4 4"]:
    """`T_world_camera` of a camera (OpenCV axes) at `position` that looks at `target`, the world's +Y up.

    Raises:
        ValueError: the view is straight up or down, where +Y says nothing about roll.
    """
    forward = np.asarray(target, np.float64) - np.asarray(position, np.float64)
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]))
    length = np.linalg.norm(right, axis=-1, keepdims=True)
    if (length < 1e-9).any():
        raise ValueError("the camera looks straight up or down: give its rotation instead of a target")
    right = right / length
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad)[..., None], np.sin(roll_rad)[..., None]
    T = np.zeros((*forward.shape[:-1], 4, 4))
    T[..., :3, 0] = c * right + s * down
    T[..., :3, 1] = c * down - s * right
    T[..., :3, 2] = forward
    T[..., :3, 3] = position
    T[..., 3, 3] = 1.0
    return T
