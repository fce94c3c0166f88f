"""Skeletons as the programs that people rig with name and nest them, with twist bones, fingers, faces and helpers.

Each line is a joint, indented by one space per level; `=Role` says which part of the body it plays, `!` that it moves
no vertex itself. The left side stands for both: the words of `sides` are replaced for the right one.
"""

from dataclasses import dataclass, replace

import numpy as np
from box_person import BOX_FACES, joint_positions

from understudy.core.character import Character, Material, Mesh
from understudy.core.motion import BODY_JOINTS, Skeleton
from understudy.geometry.rigid import invert

FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")


@dataclass(frozen=True)
class Convention:
    """The joints of one program's skeleton."""

    tree: str
    sides: tuple[tuple[str, str], ...]
    """What in the left side's names becomes what in the right side's."""


def finger_lines(depth: int, *patterns: str) -> str:
    """Lines of fingers of three joints each; a pattern holds {f}, the finger, and {n}, its joint from 1."""
    return "".join(
        f"{' ' * (depth + n - 1)}{pattern.format(f=finger, n=n)}\n"
        for pattern in patterns for finger in FINGERS for n in (1, 2, 3)
    )  # fmt: skip


MIXAMO = """
mixamorig:Hips =Hips
 mixamorig:Spine =Spine
  mixamorig:Spine1 =Spine1
   mixamorig:Spine2 =Spine2
    mixamorig:Neck =Neck
     mixamorig:Head =Head
      mixamorig:HeadTop_End!
      mixamorig:LeftEye
    mixamorig:LeftShoulder =LeftShoulder
     mixamorig:LeftArm =LeftArm
      mixamorig:LeftForeArm =LeftForeArm
       mixamorig:LeftHand =LeftHand
FINGERS
 mixamorig:LeftUpLeg =LeftUpLeg
  mixamorig:LeftLeg =LeftLeg
   mixamorig:LeftFoot =LeftFoot
    mixamorig:LeftToeBase =LeftToeBase
     mixamorig:LeftToe_End!
""".replace("FINGERS\n", finger_lines(8, "mixamorig:LeftHand{f}{n}"))

UNREAL = """
root!
 pelvis =Hips
  spine_01 =Spine
   spine_02
    spine_03 =Spine1
     spine_04
      spine_05 =Spine2
       neck_01 =Neck
        neck_02
         head =Head
          FACIAL_L_Eye
          FACIAL_C_Jaw
       clavicle_l =LeftShoulder
        upperarm_l =LeftArm
         upperarm_twist_01_l
         upperarm_twist_02_l
         upperarm_correctiveRoot_l!
          upperarm_bck_l
         lowerarm_l =LeftForeArm
          lowerarm_twist_02_l
          lowerarm_twist_01_l
          lowerarm_correctiveRoot_l!
           lowerarm_out_l
          hand_l =LeftHand
FINGERS
  thigh_l =LeftUpLeg
   thigh_twist_01_l
   thigh_twist_02_l
   calf_l =LeftLeg
    calf_twist_02_l
    calf_twist_01_l
    calf_correctiveRoot_l!
     calf_knee_l
    foot_l =LeftFoot
     ball_l =LeftToeBase
      bigtoe_01_l
 ik_foot_root!
  ik_foot_l!
 ik_hand_root!
  ik_hand_gun!
   ik_hand_l!
 interaction!
""".replace("FINGERS\n", finger_lines(11, "{f}_0{n}_l").lower())

RIGIFY = """
root!
 MCH-torso.parent!
 ORG-spine!
 DEF-spine =Hips
  DEF-spine.001 =Spine
   DEF-spine.002 =Spine1
    DEF-spine.003 =Spine2
     DEF-spine.004 =Neck
      DEF-spine.005
       DEF-spine.006 =Head
        DEF-eye.L
        DEF-jaw
     DEF-shoulder.L =LeftShoulder
      DEF-upper_arm.L =LeftArm
       DEF-upper_arm.L.001
        DEF-forearm.L =LeftForeArm
         DEF-forearm.L.001
          DEF-hand.L =LeftHand
FINGERS
     DEF-breast.L
  DEF-pelvis.L
  DEF-thigh.L =LeftUpLeg
   DEF-thigh.L.001
    DEF-shin.L =LeftLeg
     DEF-shin.L.001
      DEF-foot.L =LeftFoot
       DEF-toe.L =LeftToeBase
 MCH-foot_ik.L!
""".replace("FINGERS\n", finger_lines(11, "DEF-f_{f}.0{n}.L").replace("Pinky", "pinky").replace("f_Thumb", "thumb"))

UNITY = """
Armature!
 Hips =Hips
  Spine =Spine
   Chest =Spine1
    UpperChest =Spine2
     Neck =Neck
      Head =Head
       LeftEye
       Jaw
     LeftShoulder =LeftShoulder
      LeftUpperArm =LeftArm
       LeftLowerArm =LeftForeArm
        LeftHand =LeftHand
         Left Thumb Proximal
          Left Thumb Intermediate
           Left Thumb Distal
         Left Index Proximal
          Left Index Intermediate
  LeftUpperLeg =LeftUpLeg
   LeftLowerLeg =LeftLeg
    LeftFoot =LeftFoot
     LeftToes =LeftToeBase
"""

ETHAN = UNITY.replace("Armature", "EthanSkeleton").replace("Hips ", "EthanHips ")
for _name in ("Spine", "Chest", "UpperChest", "Neck", "Head", "Jaw", "LeftShoulder", "LeftUpperArm", "LeftLowerArm",
              "LeftHand", "LeftUpperLeg", "LeftLowerLeg", "LeftFoot", "LeftToes", "LeftEye"):  # fmt: skip
    ETHAN = ETHAN.replace(f" {_name} ", f" Ethan{_name} ").replace(f" {_name}\n", f" Ethan{_name}\n")
ETHAN = ETHAN.replace(" Left ", " EthanLeft ")

MAKEHUMAN = """
root =Hips
 pelvis.L
  upperleg01.L =LeftUpLeg
   upperleg02.L
    lowerleg01.L =LeftLeg
     lowerleg02.L
      foot.L =LeftFoot
       toe1-1.L =LeftToeBase
        toe1-2.L
       toe2-1.L
 spine05 =Spine
  spine04
   spine03 =Spine1
    spine02
     spine01 =Spine2
      clavicle.L =LeftShoulder
       shoulder01.L
        upperarm01.L =LeftArm
         upperarm02.L
          lowerarm01.L =LeftForeArm
           lowerarm02.L
            wrist.L =LeftHand
             finger1-1.L
              finger1-2.L
             metacarpal1.L
              finger2-1.L
               finger2-2.L
      neck01 =Neck
       neck02
        neck03
         head =Head
          jaw
          eye.L
     breast.L
"""

CHARACTER_CREATOR = """
RL_BoneRoot!
 CC_Base_Hip =Hips
  CC_Base_Pelvis
   CC_Base_L_Thigh! =LeftUpLeg
    CC_Base_L_ThighTwist01
     CC_Base_L_ThighTwist02
    CC_Base_L_Calf! =LeftLeg
     CC_Base_L_CalfTwist01
      CC_Base_L_CalfTwist02
     CC_Base_L_KneeShareBone
     CC_Base_L_Foot =LeftFoot
      CC_Base_L_ToeBase =LeftToeBase
       CC_Base_L_BigToe1
      CC_Base_L_ToeBaseShareBone
  CC_Base_Waist =Spine
   CC_Base_Spine01 =Spine1
    CC_Base_Spine02 =Spine2
     CC_Base_NeckTwist01 =Neck
      CC_Base_NeckTwist02
       CC_Base_Head =Head
        CC_Base_FacialBone!
         CC_Base_JawRoot
          CC_Base_Tongue01
         CC_Base_L_Eye
     CC_Base_L_Clavicle =LeftShoulder
      CC_Base_L_Upperarm! =LeftArm
       CC_Base_L_UpperarmTwist01
        CC_Base_L_UpperarmTwist02
       CC_Base_L_Forearm! =LeftForeArm
        CC_Base_L_ForearmTwist01
         CC_Base_L_ForearmTwist02
        CC_Base_L_ElbowShareBone
        CC_Base_L_Hand =LeftHand
FINGERS
     CC_Base_L_RibsTwist
      CC_Base_L_Breast
""".replace("FINGERS\n", finger_lines(9, "CC_Base_L_{f}{n}"))

READY_PLAYER_ME = MIXAMO.replace("mixamorig:", "")

MMD = """
全ての親!
 センター!
  グルーブ!
   腰! =Hips
    上半身 =Spine
     上半身2 =Spine2
      首 =Neck
       頭 =Head
        左目
        両目!
        前髪1
      左肩P!
       左肩 =LeftShoulder
        左肩C!
         左腕 =LeftArm
          左腕捩
          左ひじ =LeftForeArm
           左手捩
           左手首 =LeftHand
            左親指０
             左親指１
              左親指２
            左人指１
             左人指２
              左人指３
            左ダミー!
    下半身
     左足 =LeftUpLeg
      左ひざ =LeftLeg
       左足首 =LeftFoot
        左つま先 =LeftToeBase
     スカート_0_1
 左足IK親!
  左足ＩＫ!
   左つま先ＩＫ!
"""

MMD_COPIES = (
    MMD.replace("左足 =LeftUpLeg", "左足!").replace("左ひざ =LeftLeg", "左ひざ!").replace("左足首 =LeftFoot", "左足首!")
    .replace("        左つま先 =LeftToeBase\n", "        左つま先!\n     腰キャンセル左!\n      左足D =LeftUpLeg\n"
             "       左ひざD =LeftLeg\n        左足首D =LeftFoot\n         左足先EX =LeftToeBase\n")
)  # fmt: skip

MMD_BLENDER = MMD
for _part in ("目", "肩P", "肩C", "肩", "腕捩", "手捩", "腕", "ひじ", "手首", "ダミー", "足首", "足IK親", "足ＩＫ",
              "足", "ひざ", "つま先ＩＫ", "つま先"):  # fmt: skip
    for _end in (" ", "!", "\n"):
        MMD_BLENDER = MMD_BLENDER.replace(f"左{_part}{_end}", f"{_part}.L{_end}")

DAZ = """
Genesis8Female!
 hip =Hips
  pelvis
   lThighBend =LeftUpLeg
    lThighTwist
     lShin =LeftLeg
      lFoot =LeftFoot
       lMetatarsals
        lToe =LeftToeBase
         lBigToe
  abdomenLower =Spine
   abdomenUpper =Spine1
    chestLower =Spine2
     lPectoral
     lCollar =LeftShoulder
      lShldrBend =LeftArm
       lShldrTwist
        lForearmBend =LeftForeArm
         lForearmTwist
          lHand =LeftHand
           lThumb1
            lThumb2
           lCarpal1
            lIndex1
     chestUpper =Neck
      neckLower
       neckUpper
        head =Head
         lEye
         lowerJaw
          tongue01
"""
"""Collars hang on the lower chest: what stands between it and the head counts as neck."""

DAZ_9 = """
Genesis9!
 hip =Hips
  pelvis
   l_thigh =LeftUpLeg
    l_thightwist1
     l_thightwist2
    l_shin =LeftLeg
     l_foot =LeftFoot
      l_metatarsals
      l_toes =LeftToeBase
       l_bigtoe1
  spine1 =Spine
   spine2
    spine3 =Spine1
     spine4 =Spine2
      l_pectoral
      l_shoulder =LeftShoulder
       l_upperarm =LeftArm
        l_upperarmtwist1
         l_upperarmtwist2
        l_forearm =LeftForeArm
         l_forearmtwist1
          l_forearmtwist2
         l_hand =LeftHand
          l_thumb1
          l_index1
      neck1 =Neck
       neck2
        head =Head
         l_eye
         lowerjaw
"""

ADVANCED_SKELETON = """
Root_M =Hips
 Spine1_M =Spine
  Chest_M =Spine2
   Neck_M =Neck
    Head_M =Head
     Eye_L
     Jaw_M
   Scapula_L =LeftShoulder
    Shoulder_L =LeftArm
     ShoulderPart1_L
     Elbow_L =LeftForeArm
      Wrist_L =LeftHand
       ThumbFinger1_L
       IndexFinger1_L
 Hip_L =LeftUpLeg
  HipPart1_L
  Knee_L =LeftLeg
   Ankle_L =LeftFoot
    Toes_L =LeftToeBase
"""

ROBLOX = """
HumanoidRootNode!
 LowerTorso =Hips
  UpperTorso =Spine2
   Head =Head
   LeftUpperArm =LeftArm
    LeftLowerArm =LeftForeArm
     LeftHand =LeftHand
  LeftUpperLeg =LeftUpLeg
   LeftLowerLeg =LeftLeg
    LeftFoot =LeftFoot
"""

SECOND_LIFE = """
mPelvis =Hips
 mTorso =Spine
  mChest =Spine2
   mNeck =Neck
    mHead =Head
     mEyeLeft
   mCollarLeft =LeftShoulder
    mShoulderLeft =LeftArm
     mElbowLeft =LeftForeArm
      mWristLeft =LeftHand
       mHandThumb1Left
 mHipLeft =LeftUpLeg
  mKneeLeft =LeftLeg
   mAnkleLeft =LeftFoot
    mFootLeft =LeftToeBase
"""

HUMAN_IK = MIXAMO.replace("mixamorig:", "Character1_").replace("Character1_Hips =", "Character1_Hips =")

BIPED = """
Bip001!
 Bip001 Pelvis =Hips
  Bip001 Spine =Spine
   Bip001 Spine1 =Spine2
    Bip001 Neck =Neck
     Bip001 Head =Head
      Bip001 HeadNub!
     Bip001 L Clavicle =LeftShoulder
      Bip001 L UpperArm =LeftArm
       Bip001 LUpArmTwist
       Bip001 L Forearm =LeftForeArm
        Bip001 L ForeTwist
        Bip001 L Hand =LeftHand
         Bip001 L Finger0
          Bip001 L Finger01
         Bip001 L Finger1
  Bip001 L Thigh =LeftUpLeg
   Bip001 LThighTwist
   Bip001 L Calf =LeftLeg
    Bip001 L Foot =LeftFoot
     Bip001 L Toe0 =LeftToeBase
      Bip001 L Toe0Nub!
"""
"""Biped hangs the collar bones on the neck."""

CMU = """
Hips =Hips
 LHipJoint
  LeftHip =LeftUpLeg
   LeftKnee =LeftLeg
    LeftAnkle =LeftFoot
     LeftToe =LeftToeBase
 Chest =Spine
  Chest2 =Spine2
   LowerNeck =Neck
    Neck
     Head =Head
   LeftCollar =LeftShoulder
    LeftShoulder =LeftArm
     LeftElbow =LeftForeArm
      LeftWrist =LeftHand
       LThumb
       LeftFingerBase
"""

VRM_BONES = {
    "hips": "Hips", "spine": "Spine", "chest": "Spine1", "upperChest": "Spine2", "neck": "Neck", "head": "Head",
    "Shoulder": "Shoulder", "UpperArm": "Arm", "LowerArm": "ForeArm", "Hand": "Hand", "UpperLeg": "UpLeg",
    "LowerLeg": "Leg", "Foot": "Foot", "Toes": "ToeBase",
}  # fmt: skip
"""VRM's human bones, those of limbs without their side, and our roles."""


def without_names(tree: str) -> str:
    """The same joints by numbers."""
    lines = []
    for number, line in enumerate(tree.strip("\n").splitlines()):
        indent = len(line) - len(line.lstrip(" "))
        _, _, role = line.partition("=")
        mark = "!" if "!" in line else ""
        lines.append(f"{' ' * indent}x{number}{mark}" + (f" ={role}" if role else ""))
    return "\n".join(lines)


SMALL_L, BIG_L, WORD = (("_l", "_r"), ("_L_", "_R_")), ((".L", ".R"),), (("Left", "Right"),)
CONVENTIONS: dict[str, Convention] = {
    "Mixamo": Convention(MIXAMO, WORD),
    "Unreal": Convention(UNREAL, SMALL_L),
    "Rigify": Convention(RIGIFY, BIG_L),
    "Unity": Convention(UNITY, WORD),
    "Unity, with the figure's name": Convention(ETHAN, WORD),
    "MakeHuman": Convention(MAKEHUMAN, BIG_L),
    "Character Creator": Convention(CHARACTER_CREATOR, (("_L_", "_R_"),)),
    "Ready Player Me": Convention(READY_PLAYER_ME, WORD),
    "MikuMikuDance": Convention(MMD, (("左", "右"),)),
    "MikuMikuDance, copied legs": Convention(MMD_COPIES, (("左", "右"),)),
    "MikuMikuDance in Blender": Convention(MMD_BLENDER, ((".L", ".R"), ("左", "右"))),
    "DAZ": Convention(DAZ, (("l", "r"),)),
    "DAZ 9": Convention(DAZ_9, (("l_", "r_"),)),
    "Advanced Skeleton": Convention(ADVANCED_SKELETON, (("_L", "_R"),)),
    "Roblox": Convention(ROBLOX, WORD),
    "Second Life": Convention(SECOND_LIFE, WORD),
    "HumanIK": Convention(HUMAN_IK, WORD),
    "CMU": Convention(CMU, (("Left", "Right"), ("LHip", "RHip"), ("LThumb", "RThumb"))),
    "Biped": Convention(BIPED, ((" L", " R"),)),
    "nameless Mixamo": Convention(without_names(MIXAMO), ()),
    "nameless Unreal": Convention(without_names(UNREAL), ()),
    "nameless Rigify": Convention(without_names(RIGIFY), ()),
    "nameless Biped": Convention(without_names(BIPED), ()),
}


@dataclass(frozen=True)
class Joint:
    """A line of a tree."""

    name: str
    parent: int
    role: str | None
    moves: bool
    side: str
    """Left, Right or nothing."""


def joints_of(convention: Convention) -> list[Joint]:
    """All joints, those of the right side after those of the left."""
    lines = [line for line in convention.tree.strip("\n").splitlines() if line.strip()]
    joints: list[Joint] = []
    stack: list[tuple[int, int, bool]] = []
    """Indent, place and whether it is of a side."""
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        name, _, role = (part.strip() for part in line.partition("="))
        while stack and stack[-1][0] >= indent:
            stack.pop()
        parent, above_is_left = (stack[-1][1], stack[-1][2]) if stack else (-1, False)
        own = name.rstrip("!")
        renamed = mirrored_name(own, convention.sides)
        left = role.startswith("Left") or (above_is_left and True) or (renamed != own and not role)
        left = left and (role.startswith("Left") or not role)
        joints.append(Joint(own, parent, role or None, "!" not in name, "Left" if left else ""))
        stack.append((indent, len(joints) - 1, left))
    place: dict[int, int] = {}
    for number, joint in enumerate(list(joints)):
        if joint.side:
            name = mirrored_name(joint.name, convention.sides)
            name = name if name != joint.name else joint.name + " other"
            role = joint.role and "Right" + joint.role[4:]
            place[number] = len(joints)
            joints.append(
                replace(joint, name=name, parent=place.get(joint.parent, joint.parent), role=role, side="Right")
            )
    return joints


def mirrored_name(name: str, sides: tuple[tuple[str, str], ...]) -> str:
    """The right side's name of a joint; the same where it is of no side."""
    for left, right in sides:
        if left == "l":
            if name[:1] == "l" and name[1:2].isupper():
                return right + name[1:]
        elif left in name:
            return name.replace(left, right, 1)
    return name


def rig_of(convention: Convention) -> tuple[Character, dict[str, str]]:
    """A person of small boxes on the joints of a convention, without roles, and the roles that should be found."""
    joints = joints_of(convention)
    body = dict(zip(BODY_JOINTS, joint_positions(), strict=True))
    at = np.zeros((len(joints), 3))
    for number, joint in enumerate(joints):
        mirror = np.array([-1.0 if joint.side == "Right" else 1.0, 1.0, 1.0])
        below = next(
            (other for other in range(number, len(joints)) if joints[other].role and above(joints, other, number)), None
        )
        name = joint.name.lower()
        if joint.role:
            at[number] = body[joint.role]
        elif joint.parent < 0 or not any(joints[up].role for up in line(joints, number)):
            at[number] = (0.0, 0.0, 0.0)
        elif below is not None:
            at[number] = 0.5 * (at[joint.parent] + body[joints[below].role])
        elif any(word in name for word in ("eye", "目", "jaw", "facial")):
            at[number] = body["Head"] + mirror * (0.03 if joint.side else 0.0, 0.06, 0.09)
        elif joint.side and any(joints[up].role in ("LeftHand", "RightHand") for up in line(joints, number)):
            at[number] = at[joint.parent] + mirror * (0.04, -0.002 * (number % 5), 0.01 * (number % 5 - 2))
        else:
            at[number] = at[joint.parent] + mirror * (0.02 if joint.side else 0.0, 0.03, 0.03)
    order = parents_first(joints)
    place = {old: new for new, old in enumerate(order)}
    parents = tuple(place[joints[old].parent] if joints[old].parent >= 0 else -1 for old in order)
    T = np.tile(np.eye(4), (len(order), 1, 1))
    T[:, :3, 3] = at[order]
    local = np.array([M if p < 0 else invert(T[p]) @ M for M, p in zip(T, parents, strict=True)])
    moving = [number for number, old in enumerate(order) if joints[old].moves]
    corners = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]) * 0.02
    vertices = np.concatenate([T[joint, :3, 3] + corners for joint in moving])
    faces = np.concatenate([BOX_FACES + 8 * number for number in range(len(moving))])
    mesh = Mesh(
        vertices, faces, np.tile([[0.0, 1.0, 0.0]], (len(vertices), 1)), np.zeros((len(vertices), 2)),
        np.zeros(len(faces), np.int64), (Material("skin"),),
    )  # fmt: skip
    skeleton = Skeleton(tuple(joints[old].name for old in order), parents, local)
    roles = {joint.role: joint.name for joint in joints if joint.role}
    character = Character(
        "made", mesh, skeleton, invert(T), np.repeat(moving, 8)[:, None], np.ones((len(vertices), 1))
    )  # fmt: skip
    return character, roles


def line(joints: list[Joint], number: int) -> list[int]:
    """The joints above one."""
    found = []
    while joints[number].parent >= 0:
        number = joints[number].parent
        found.append(number)
    return found


def above(joints: list[Joint], number: int, upper: int) -> bool:
    """Whether a joint hangs on another one, in the same limb where that is of a side."""
    return upper in line(joints, number) and joints[upper].side in ("", joints[number].side)


def parents_first(joints: list[Joint]) -> list[int]:
    """Numbers of joints, each after its parent, depth first."""
    order: list[int] = []
    stack = [number for number, joint in enumerate(joints) if joint.parent < 0][::-1]
    while stack:
        number = stack.pop()
        order.append(number)
        stack += [child for child, joint in reversed(list(enumerate(joints))) if joint.parent == number]
    return order
