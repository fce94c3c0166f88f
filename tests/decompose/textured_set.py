"""A small textured room, ray-cast in NumPy, with a walking blob: shots with known cameras for the camera's tests."""

import cv2
import numpy as np

from understudy.geometry.projection import intrinsics
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import look_at, matrix_from_vector

ROOM = (np.array([-4.0, 0.0, -5.0]), np.array([4.0, 3.5, 6.0]))
BOXES = [
    (np.array([-2.6, 0.0, 2.5]), np.array([-1.6, 1.1, 3.4])),
    (np.array([1.2, 0.0, 3.0]), np.array([2.4, 1.8, 4.0])),
    (np.array([-0.6, 0.0, 4.4]), np.array([0.5, 0.7, 5.2])),
    (np.array([2.6, 0.0, 0.8]), np.array([3.2, 1.3, 1.6])),
    (np.array([-3.6, 0.0, 0.5]), np.array([-3.0, 2.0, 1.2])),
]
MOVES = ("static", "pan", "tilt", "push_in", "truck", "arc", "handheld_rotation", "handheld")


def texture(seed: int, size: int = 1024) -> np.ndarray:
    """Blotches of several sizes and some rectangles, grey, 0 … 255."""
    random = np.random.default_rng(seed)
    picture = np.zeros((size, size))
    for cells, gain in ((16, 40), (64, 40), (160, 25)):
        noise = random.normal(size=(cells, cells)).astype(np.float32)
        picture += gain * cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(80):
        x, y, w, h = random.integers(0, size, 2).tolist() + random.integers(10, 90, 2).tolist()
        picture[y : y + h, x : x + w] += random.normal() * 45
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 1.2) + 120, 0, 255).astype(np.uint8)


TEXTURES = [texture(seed) for seed in range(7)]


def camera_path(move: str, frames: int, seed: int = 0) -> np.ndarray:
    """`T_world_camera` of a move in the room, +Y up."""
    s = np.linspace(0.0, 1.0, frames)
    eye = np.tile([0.0, 1.5, -3.0], (frames, 1))
    target = np.tile([0.0, 1.2, 3.0], (frames, 1))
    if move == "pan":
        angle = np.radians(-15 + 30 * s)
        target = eye + np.stack([np.sin(angle), np.full(frames, -0.05), np.cos(angle)], 1)
    elif move == "tilt":
        angle = np.radians(-12 + 20 * s)
        target = eye + np.stack([np.zeros(frames), np.sin(angle), np.cos(angle)], 1)
    elif move == "push_in":
        eye = eye + np.outer(s, [0.0, 0.0, 2.0])
        target = eye + [0.0, -0.05, 1.0]
    elif move == "truck":
        eye = eye + np.outer(s - 0.5, [2.0, 0.0, 0.0])
        target = eye + [0.0, -0.05, 1.0]
    elif move == "arc":
        angle = np.radians(-20 + 40 * s)
        eye = np.array([0.0, 1.5, 2.0]) + 4.5 * np.stack([np.sin(angle), 0 * angle, -np.cos(angle)], 1)
        target = np.tile([0.0, 1.0, 2.0], (frames, 1))
    T = look_at(eye, target)
    if move.startswith("handheld"):
        random = np.random.default_rng(seed)
        shake = cv2.GaussianBlur(random.normal(size=(frames, 6)), (1, 0), sigmaX=0.01, sigmaY=3.0) * 2.0
        T[:, :3, :3] = T[:, :3, :3] @ matrix_from_vector(shake[:, :3] * 0.03)
        if move == "handheld":
            T[:, :3, 3] += shake[:, 3:] * 0.06 + np.outer(s, [0.5, 0.0, 0.4])
    return T


def film(
    T_world_camera: np.ndarray, focal_px: float, width: int = 480, height: int = 270, wall_only: bool = False
) -> np.ndarray:
    """One grey frame: the room from inside and the boxes in it, each face with its own texture."""
    K = intrinsics(focal_px, width, height)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(K).T @ T_world_camera[:3, :3].T
    rays = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    eye = T_world_camera[:3, 3]
    near_far = [_hit(eye, rays, *ROOM)]
    distance, axis = near_far[0][1], near_far[0][3]
    which = np.zeros(len(rays), int)
    for number, box in enumerate([] if wall_only else BOXES):
        near, far, near_axis, _ = _hit(eye, rays, *box)
        closer = (near < far) & (near > 0) & (near < distance)
        distance, axis = np.where(closer, near, distance), np.where(closer, near_axis, axis)
        which = np.where(closer, number + 1, which)
    points = eye + rays * distance[:, None]
    others = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    uv = (np.take_along_axis(points, others, 1) * 110 + 37 * axis[:, None] + 300 * which[:, None]) % 1000
    u, v = uv.astype(np.float32).reshape(height, width, 2).transpose(2, 0, 1)
    which = which.reshape(height, width)
    picture = np.zeros((height, width), np.uint8)
    for number in range(len(BOXES) + 1):
        picture = np.where(which == number, cv2.remap(TEXTURES[number], u, v, cv2.INTER_LINEAR), picture)
    return picture


def _hit(eye, rays, low, high):
    a, b = (low - eye) / rays, (high - eye) / rays
    first, last = np.minimum(a, b), np.maximum(a, b)
    return first.max(1), last.min(1), first.argmax(1), last.argmin(1)


def shoot(
    move: str, frames: int, focal_px: float, width: int = 480, height: int = 270, seed: int = 0, blob: bool = True
):
    """Frames (RGB), masks and the truth: `T_world_camera` in the first camera's frame."""
    T = camera_path(move, frames, seed)
    random = np.random.default_rng(seed + 1)
    pictures, masks = [], []
    for index in range(frames):
        grey = film(T[index], focal_px, width, height).astype(np.float64)
        mask = np.zeros((height, width), np.uint8)
        if blob:
            x = int(width * (0.25 + 0.5 * index / frames))
            cv2.ellipse(mask, (x, int(0.6 * height)), (width // 11, int(0.36 * height)), 0, 0, 360, 255, -1)
            dots = np.roll(TEXTURES[6][:height, :width], 3 * index, 1)
            grey = np.where(mask > 0, 255 - dots, grey)
        noisy = np.clip(grey + random.normal(size=grey.shape) * 1.5, 0, 255).astype(np.uint8)
        pictures.append(np.repeat(noisy[..., None], 3, 2))
        masks.append(mask)
    return pictures, masks, invert(T[:1]) @ T
