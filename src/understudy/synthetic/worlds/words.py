"""A sentence for every clip: who, in what clothes, does what, where in the picture, facing where."""

import torch

from understudy.synthetic.worlds.actions import ACTIONS
from understudy.synthetic.worlds.seeded_random import SeededRandom
from understudy.synthetic.worlds.subject import BOTTOMS, COLOURS, PEOPLE, TOPS, Subject

__all__ = ["action_words", "sentences"]

VERBS: dict[str, tuple[str, ...]] = {
    "stand": ("stands", "stands still", "waits"),
    "walk": ("walks", "walks along", "strolls"),
    "run": ("runs on the spot", "jogs on the spot", "runs in place"),
    "wave": ("waves", "waves a hand", "waves hello"),
    "dance": ("dances", "is dancing", "dances around"),
    "jump": ("jumps", "jumps up and down", "hops"),
    "turn": ("turns around", "spins around", "turns on the spot"),
    "crouch": ("crouches", "crouches down", "squats"),
    "bow": ("bows", "bows down", "takes a bow"),
    "stretch": ("stretches", "raises both arms", "lifts both arms"),
}
PEOPLE_WORDS: dict[str, tuple[str, ...]] = {
    "man": ("a man", "a guy", "a gentleman"), "woman": ("a woman", "a lady", "a young woman"),
    "boy": ("a boy", "a small boy", "a kid"), "girl": ("a girl", "a small girl", "a kid"),
}  # fmt: skip
TOP_WORDS: dict[str, tuple[str, ...]] = {
    "shirt": ("shirt", "long-sleeved shirt"), "t-shirt": ("t-shirt", "short-sleeved shirt"),
    "sweater": ("sweater", "pullover"), "coat": ("coat", "long coat"),
}  # fmt: skip
BOTTOM_WORDS: dict[str, tuple[str, ...]] = {
    "trousers": ("trousers", "pants"), "shorts": ("shorts", "short trousers"), "skirt": ("skirt", "skirt"),
}  # fmt: skip
PLACES = (("on the left", "at the left"), ("in the middle", "in the centre"), ("on the right", "at the right"))
HEADINGS = (
    ("facing left", "turned to the left"), ("facing the camera", "looking at the camera"),
    ("facing right", "turned to the right"),
)  # fmt: skip
NOBODY = ("an empty {}", "a {} without people", "nobody in a {}", "an empty {}, nobody is there")
WORLD_WORDS = (("room",), ("courtyard", "yard"), ("street", "road"))
SIDE_RAD, TURNED_RAD = 0.16, 0.30
"""From where on somebody stands at a side, and looks to a side."""


def sentences(rng: SeededRandom, subject: Subject, world_kind: torch.Tensor) -> list[str]:
    """One per clip; the wording varies at random."""
    colours = list(COLOURS)
    place = 1 + (subject.bearing_rad > SIDE_RAD).long() - (subject.bearing_rad < -SIDE_RAD).long()
    heading = 1 + (subject.heading_rad > TURNED_RAD).long() - (subject.heading_rad < -TURNED_RAD).long()
    rows = torch.stack(
        [subject.there.long(), world_kind, subject.person, subject.top, subject.top_colour, subject.bottom,
         subject.bottom_colour, subject.action, place, heading], 1
    ).tolist()  # fmt: skip
    words = []
    for row, wording in zip(rows, rng.integer(1 << 16, 9).tolist(), strict=True):
        there, kind, person, top, top_colour, bottom, bottom_colour, action, at, facing = row

        def one(choices: tuple[str, ...], number: int, wording: list[int] = wording) -> str:
            return choices[wording[number] % len(choices)]

        world = one(WORLD_WORDS[kind], 0)
        if not there:
            words.append(one(NOBODY, 1).format(world))
            continue
        who = one(PEOPLE_WORDS[PEOPLE[person]], 2)
        clothes = f"a {colours[top_colour]} {one(TOP_WORDS[TOPS[top]], 3)} and "
        clothes += f"{'a ' if BOTTOMS[bottom] == 'skirt' else ''}{colours[bottom_colour]} "
        clothes += one(BOTTOM_WORDS[BOTTOMS[bottom]], 4)
        clothes = clothes.replace("a orange", "an orange")
        does = f"{one(VERBS[list(ACTIONS)[action]], 5)} {one(PLACES[at], 6)}, {one(HEADINGS[facing], 7)}"
        where = f" in a {world}" if wording[8] % 2 else ""
        words.append(f"{who} in {clothes} {does}{where}")
    return words


def action_words(subject: Subject) -> list[str]:
    """What the subject of each clip does, in one verb; nothing where nobody is."""
    verbs = [VERBS[action][0] for action in ACTIONS]
    there = subject.there.tolist()
    return [verbs[action] if is_there else "" for action, is_there in zip(subject.action.tolist(), there, strict=True)]
