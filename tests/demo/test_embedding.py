import subprocess
import sys

import numpy as np

from watchdog.demo.embedding import DIMENSIONS, MODEL_V1, MODEL_V2, embed, literal, query_literal


def test_a_vector_has_unit_length_and_the_asked_dimensions() -> None:
    for dimensions in (DIMENSIONS, 256):
        vector = embed("Access control policy", dimensions=dimensions)
        assert vector.shape == (dimensions,)
        assert np.isclose(np.linalg.norm(vector), 1.0)


def test_the_same_text_gives_the_same_vector_in_another_process() -> None:
    code = "from watchdog.demo.embedding import *; print(literal(embed('backup retention')))"
    environment = {"PYTHONHASHSEED": "12345"}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert other.stdout.decode().strip() == literal(embed("backup retention"))


def test_texts_that_share_words_are_nearer_than_texts_that_share_none() -> None:
    text, near, far = (embed(t) for t in ("backup retention policy", "backup retention", "gateway fraud"))
    assert text @ near > 0.7
    assert text @ far < 0.3


def test_the_second_model_sees_the_order_of_words() -> None:
    assert np.array_equal(embed("backup retention"), embed("retention backup"))
    first, second = (embed(text, model=MODEL_V2) for text in ("backup retention", "retention backup"))
    assert not np.array_equal(first, second)


def test_a_text_without_words_gives_the_zero_vector() -> None:
    assert not embed("?!").any()


def test_a_literal_reads_back_exactly() -> None:
    vector = embed("incident register")
    numbers = query_literal("incident register", MODEL_V1, DIMENSIONS)[1:-1].split(",")
    assert np.array_equal(np.array([float(number) for number in numbers], dtype=np.float32), vector)
