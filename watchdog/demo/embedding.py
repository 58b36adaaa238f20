"""Embeddings by feature hashing: no model to fetch, the same vector in every process and on every machine."""

import functools
import hashlib
import itertools
import re

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

DIMENSIONS = 384
MODEL_V1 = "hash-words-1"
MODEL_V2 = "hash-bigrams-2"

_WORD = re.compile(r"[a-z0-9]+")


@functools.lru_cache(maxsize=65_536)
def _slot(feature: str) -> tuple[int, float]:
    # blake2, not hash(): Python salts hash() anew in every process.
    digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), 1.0 if digest[4] & 1 else -1.0


def embed(text: str, *, model: str = MODEL_V1, dimensions: int = DIMENSIONS) -> Vector:
    """The unit-length vector of a text; the zero text gives the zero vector.

    `MODEL_V1` hashes words, `MODEL_V2` words and pairs of neighbouring words.
    """
    words = _WORD.findall(text.lower())
    features = list(words)
    if model == MODEL_V2:
        features += [f"{left} {right}" for left, right in itertools.pairwise(words)]
    if not features:
        return np.zeros(dimensions, dtype=np.float32)
    slots = [_slot(feature) for feature in features]
    positions = np.array([position % dimensions for position, _ in slots])
    signs = np.array([sign for _, sign in slots])
    summed = np.bincount(positions, weights=signs, minlength=dimensions)
    length = float(np.linalg.norm(summed))
    return np.asarray(summed / length if length else summed, dtype=np.float32)


def literal(vector: Vector) -> str:
    """The vector as pgvector reads it from text, exact to the last bit of its 32-bit floats."""
    return "[" + ",".join(f"{value:.9g}" for value in vector.tolist()) + "]"


@functools.lru_cache(maxsize=2_048)
def query_literal(text: str, model: str, dimensions: int) -> str:
    """`literal(embed(text))`, remembered: users ask for the same things."""
    return literal(embed(text, model=model, dimensions=dimensions))
