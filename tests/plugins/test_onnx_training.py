"""Training from networks to a model file that the policy takes, on a very small scale."""

from pathlib import Path

import numpy as np
import pytest
from softphone_onnx_playout import OnnxPolicy
from softphone_onnx_playout.features import FEATURES, TARGETS
from softphone_onnx_playout.model import PlayoutModel
from softphone_onnx_playout.training.collect import collect
from softphone_onnx_playout.training.networks import NetworkGenerator
from softphone_onnx_playout.training.speech import SpeechLibrary

from softphone.data import sample_speech
from softphone.playout import PolicyConfig


def test_lessons_repeat_and_are_centred() -> None:
    generator = NetworkGenerator(SpeechLibrary([sample_speech()]), shortest=5.0, longest=5.0)
    first, again = (collect(generator.draw(3), None, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert len(first.features) > 50
    targets = len(TARGETS)
    np.testing.assert_allclose(first.labels[:, :targets].mean(axis=1), 0.0, atol=1e-2)
    missing = np.isfinite(first.labels[:, -1])
    assert 0 < missing.sum() < len(missing)


def test_calls_are_as_long_as_asked_for() -> None:
    generator = NetworkGenerator(SpeechLibrary([sample_speech()]), shortest=5.0, longest=9.0)
    seconds = [0.02 * generator.draw(seed).frames for seed in range(12)]
    assert 2 <= sum(each == 5.0 for each in seconds) <= 10
    assert all(5.0 <= each <= 9.0 for each in seconds)


def test_of_a_long_call_only_the_end_is_taught() -> None:
    generator = NetworkGenerator(SpeechLibrary([sample_speech()]), shortest=36.0, longest=36.0)
    lesson = collect(generator.draw(3), None, seed=3)
    assert len(lesson.features) > 200
    # The last feature counts the packets of the first 10 s.
    assert lesson.features[:, -1].min() == 1.0


def test_training_makes_a_model(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from softphone_onnx_playout.training.export import export
    from softphone_onnx_playout.training.train import train

    generator = NetworkGenerator(SpeechLibrary([sample_speech()]), shortest=5.0, longest=5.0)
    settings = {"seeds": (5, 6), "rounds": 2, "calls": 3, "epochs": 3, "jobs": 1}
    student, description = train(generator, **settings)
    again, _ = train(generator, **settings)
    path = tmp_path / "model.onnx"
    export(student, path, description)
    model = PlayoutModel(path)
    features = np.random.default_rng(1).normal(size=(4, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(again.predict(features), student.predict(features), rtol=1e-4, atol=1e-3)
    for row in features:
        np.testing.assert_allclose(model.predict(row), student.predict(row), rtol=1e-3, atol=1e-2)
    assert OnnxPolicy(PolicyConfig(), model=path).failure is None
    assert model.training["seeds"] == [5, 6]
    assert len(model.training["curves"]) == 5
