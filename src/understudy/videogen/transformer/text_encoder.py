"""Words for the small presets: a vocabulary of our own and a little text encoder that is trained with the model."""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from understudy.videogen.transformer.layers import Attention, Linear, SwiGLU, rms_norm

__all__ = ["FILM_VOCABULARY", "Vocabulary", "WordEncoder"]

LAYERS = 2
HEAD_WIDTH = 32
_WORD = re.compile(r"[^\W_]+")


def _split(sentence: str) -> list[str]:
    return _WORD.findall(sentence.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Numbers for words: 0 is no word, then the known words, then buckets that all other words are hashed into."""

    words: tuple[str, ...]
    buckets: int
    longest: int
    """Words of a sentence beyond these are not read."""

    def __len__(self) -> int:
        return 1 + len(self.words) + self.buckets

    @staticmethod
    def of_sentences(sentences: Iterable[str], buckets: int, longest: int) -> "Vocabulary":
        """The vocabulary that knows every word of some sentences."""
        return Vocabulary(tuple(sorted({word for text in sentences for word in _split(text)})), buckets, longest)

    def ids(self, sentences: Sequence[str]) -> Int[Tensor, "batch word"]:
        """The words of every sentence as numbers, filled up with 0."""
        number = {word: 1 + index for index, word in enumerate(self.words)}
        ids = torch.zeros((len(sentences), self.longest), dtype=torch.int64)
        for row, sentence in enumerate(sentences):
            for column, word in enumerate(_split(sentence)[: self.longest]):
                # CRC-32 gives the same bucket on every machine, unlike Python's own hash.
                bucket = 1 + len(self.words) + zlib.crc32(word.encode()) % self.buckets
                ids[row, column] = number.get(word, bucket)
        return ids


FILM_VOCABULARY = Vocabulary.of_sentences(
    (
        "a an the in on of with and at to from by is without nobody nothing no one there someone people empty set",
        "man guy gentleman woman lady boy girl kid child person figure dancer actor tall short slim small old young",
        "red orange yellow green teal turquoise blue navy purple pink brown beige grey gray black white dark light",
        "coat jacket shirt t sweater pullover long sleeved dress skirt trousers pants shorts suit hat boots shoes",
        "stands waits walks strolls runs jogs jumps hops waves dances turns crouches squats bows takes bow stretches",
        "bright pale wears spins raises lifts both arms kicks punches sits claps marches hello spot",
        "standing walking running jumping waving dancing turning crouching kicking punching sitting bowing clapping",
        "stretching spinning marching squatting exercises points pointing hand hands wearing dressed clothes",
        "left right middle centre center front back near far away close side towards toward forward camera through",
        "room courtyard yard street road hall house indoors outdoors wall walls floor brick wood stone sky sun",
        "facing faces turned looking heading place along slowly quickly fast slow around up down over still",
    ),
    buckets=256,
    longest=32,
)
"""Words that sets, people and actions are described with; all others share the buckets."""


class WordEncoder(nn.Module):
    """A two-layer transformer over a sentence, read out by a few learned queries."""

    def __init__(self, vocabulary: Vocabulary, text_width: int, width: int, readings: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(vocabulary), text_width)
        self.place = nn.Parameter(torch.randn(vocabulary.longest, text_width) * 0.02)
        heads = max(1, text_width // HEAD_WIDTH)
        self.attentions = nn.ModuleList(Attention(text_width, heads) for _ in range(LAYERS))
        self.feeds = nn.ModuleList(SwiGLU(text_width, 2 * text_width) for _ in range(LAYERS))
        self.queries = nn.Parameter(torch.randn(readings, text_width) * 0.02)
        self.out = Linear(text_width, width)
        nn.init.normal_(self.embedding.weight, std=0.5)

    def forward(self, word_ids: Int[Tensor, "batch word"]) -> Float[Tensor, "batch reading width"]:
        """What each query reads of the sentence; the same for all queries' inputs when there is no word."""
        words = self.embedding(word_ids) + self.place
        for attention, feed in zip(self.attentions, self.feeds, strict=True):
            words = words + attention(rms_norm(words))
            words = words + feed(rms_norm(words))
        weights = torch.softmax(self.queries @ words.mT * words.shape[-1] ** -0.5, -1)
        return self.out(rms_norm(weights @ words))
