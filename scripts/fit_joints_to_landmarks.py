"""Where joints lie between the landmarks that BlazePose finds: the constants of characters/picture/joints.py.

    PYTHONPATH=src python scripts/fit_joints_to_landmarks.py

Least squares over random bodies of the body model in the T-pose, seen from the front, whose landmarks are put off by
what scripts/calibrate_landmarks.py measured. Each joint is a landmark plus shares of the way to others.
"""

import numpy as np

from understudy.body.model import BodyModel
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS
from understudy.decompose.people.landmark_bias import landmark_shift

BODIES, RIDGE = 400, 0.3
FROM = {
    "Hips": ("hips", "shoulders"), "Neck": ("shoulders", "hips", "mouth"), "Head": ("ears", "mouth", "shoulders"),
    "LeftArm": ("left_shoulder", "right_shoulder", "left_hip"),
    "LeftForeArm": ("left_elbow", "left_shoulder", "left_wrist"),
    "LeftHand": ("left_wrist", "left_elbow", "left_index"), "LeftUpLeg": ("left_hip", "right_hip", "shoulders"),
    "LeftLeg": ("left_knee", "left_hip", "left_ankle"), "LeftFoot": ("left_ankle", "left_knee", "left_heel"),
}  # fmt: skip
MIDDLES = {
    "hips": ("left_hip", "right_hip"), "shoulders": ("left_shoulder", "right_shoulder"),
    "ears": ("left_ear", "right_ear"), "mouth": ("mouth_left", "mouth_right"),
}  # fmt: skip


def main() -> None:
    """Fit and print."""
    model, rng = BodyModel.load(), np.random.default_rng(0)
    shift = np.array([landmark_shift(name) for name in LANDMARKS])
    bodies = [model.shaped(rng.normal(size=model.components)) for _ in range(BODIES)]
    found = [(body.landmarks / body.height_m + shift)[:, :2] for body in bodies]
    for joint, (start, *towards) in FROM.items():
        ways, offsets = [], []
        for body, landmarks in zip(bodies, found, strict=True):
            base = place(landmarks, start)
            ways.append(np.stack([place(landmarks, name) - base for name in towards], 1))
            offsets.append(body.joints[BODY_JOINTS.index(joint), :2] / body.height_m - base)
        A, y = np.concatenate(ways), np.concatenate(offsets)
        shares = np.linalg.solve(A.T @ A + RIDGE**2 * np.eye(len(towards)), A.T @ y)
        left = 100 * np.sqrt(2 * np.mean((y - A @ shares) ** 2))
        print(
            joint, start, dict(zip(towards, shares.round(3).tolist(), strict=True)), f"{left:.2f} % of the height off"
        )


def place(landmarks: np.ndarray, name: str) -> np.ndarray:
    """Of one landmark, or of the middle of two."""
    return np.mean([landmarks[LANDMARKS.index(one)] for one in MIDDLES.get(name, (name,))], 0)


if __name__ == "__main__":
    main()
