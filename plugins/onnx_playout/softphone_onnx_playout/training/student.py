"""The student: a perceptron with two hidden layers and a direct path, taught by weighted least squares.

The direct path is for what is linear: the share of frames that needed more than a target, times
the price of concealment, is most of what that target will cost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softphone_onnx_playout.features import FEATURES, TARGETS, TENT_AT
from softphone_onnx_playout.model import OUTPUTS

__all__ = ["HIDDEN", "SCALE", "Student", "fit"]

HIDDEN = (64, 48)
"""Widths of the hidden layers."""
SCALE = 10.0
"""R·s of one unit of the last layer."""
_SPREAD_HIDDEN = (32,)
_LEAST_SPREAD = 0.02
"""Differences of cost below this, in `SCALE`, are not worth telling apart."""
_EVENNESS = 0.6
"""1: errors count in units of the spread; 0: in R·s, whatever the spread."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Student:
    """Weights of a trained network; layer k is ``x @ weights[k] + biases[k]``, then max(0, x).
    ``features @ direct`` is added to the last."""

    weights: tuple[Matrix, ...]
    biases: tuple[Matrix, ...]
    direct: Matrix

    def predict(self, features: Matrix) -> Matrix:
        """Costs, R·s: shape (..., `OUTPUTS`) for features (..., `FEATURES`)."""
        values = features
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weight + bias, 0.0)
        values = values @ self.weights[-1] + self.biases[-1] + features @ self.direct
        costs: Matrix = values * np.float32(SCALE)
        return costs

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(each.size for each in (*self.weights, *self.biases, self.direct))


def fit(
    features: Matrix,
    labels: Matrix,
    *,
    seed: int,
    epochs: int = 20,
    batch: int = 1024,
    held_out: float = 0.1,
    rate: float = 2e-3,
) -> tuple[Student, list[tuple[float, float]]]:
    """Train a student on ``features`` (n, `FEATURES`) and ``labels`` (n,
    `OUTPUTS`; R·s), as a `Lesson` has them.

    Only differences between targets count. Costs differ by orders of magnitude between a
    clean network and an outage, and between targets near the present delay and far from it;
    so a first, smaller network learns how far the cost of each target lies from that of the
    present delay, and errors count the less the larger this spread is. The weights follow
    from the features alone, so the student still learns the mean of what may come.

    The last part ``held_out`` of the samples is not trained on. Returns the student and, per
    epoch, the mean square errors of both parts in that unit. Needs PyTorch.
    """
    import torch

    # Sums are rounded differently on another number of threads.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    targets = len(TARGETS)
    present = features[:, TENT_AT : TENT_AT + targets].argmax(axis=1)
    relative = labels / np.float32(SCALE)
    relative[:, :targets] -= relative[np.arange(len(labels)), present, None]
    known = torch.from_numpy(np.isfinite(labels[:, targets:]))
    relative[:, targets:] = np.nan_to_num(relative[:, targets:])
    x, y = torch.from_numpy(features), torch.from_numpy(relative)
    cut = round(len(features) * (1.0 - held_out))

    def spread_loss(output: Any, rows: Any) -> Any:
        variance = torch.nn.functional.softplus(output) ** 2 + _LEAST_SPREAD**2
        losses = y[rows] ** 2 / variance + torch.log(variance)
        return losses[:, :targets].mean() + _mean_where(losses[:, targets:], known[rows])

    spread_network = _network(_SPREAD_HIDDEN)
    _descend(spread_network, x, spread_loss, cut, seed, max(2, epochs // 3), batch, rate)
    with torch.no_grad():
        variance = torch.nn.functional.softplus(spread_network(x)) ** 2 + _LEAST_SPREAD**2
        # Not all the way: where much is at stake, more may be lost.
        weights = variance**-_EVENNESS
        weights[:, :targets] /= weights[:, :targets].mean()
        for column in range(known.shape[1]):
            rows_known = known[:, column]
            if rows_known.any():
                weights[:, targets + column] /= weights[rows_known, targets + column].mean()

    def loss(output: Any, rows: Any) -> Any:
        w = weights[rows, :targets]
        error = output - y[rows]
        others = _mean_where(weights[rows, targets:] * error[:, targets:] ** 2, known[rows])
        error = error[:, :targets]
        # A constant on all targets changes no choice.
        error = error - (w * error).sum(1, keepdim=True) / w.sum(1, keepdim=True)
        return (w * error**2).mean() + others

    network = _network(HIDDEN, direct=True)
    curve = _descend(network, x, loss, cut, seed, epochs, batch, rate)
    linear = [layer for layer in network.layers if isinstance(layer, torch.nn.Linear)]
    return (
        Student(
            tuple(layer.weight.detach().numpy().T.copy() for layer in linear),
            tuple(layer.bias.detach().numpy().copy() for layer in linear),
            network.direct.weight.detach().numpy().T.copy(),
        ),
        curve,
    )


def _mean_where(values: Any, chosen: Any) -> Any:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def _network(hidden: tuple[int, ...], *, direct: bool = False) -> Any:
    from torch import nn

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            widths = (FEATURES, *hidden, OUTPUTS)
            layers: list[Any] = []
            for narrow, wide in pairwise(widths):
                layers += [nn.Linear(narrow, wide), nn.ReLU()]
            self.layers = nn.Sequential(*layers[:-1])
            self.direct = nn.Linear(FEATURES, OUTPUTS, bias=False) if direct else None

        def forward(self, features: Any) -> Any:
            values = self.layers(features)
            return values if self.direct is None else values + self.direct(features)

    return Network()


def _descend(
    network: Any,
    x: Any,
    loss: Callable[[Any, Any], Any],
    cut: int,
    seed: int,
    epochs: int,
    batch: int,
    rate: float,
) -> list[tuple[float, float]]:
    """Train on the first ``cut`` rows; returns the losses of both parts after each epoch."""
    import torch

    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    steps = epochs * max(1, -(-cut // batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    curve = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(cut, generator=generator).split(batch):
            optimizer.zero_grad()
            value = loss(network(x[rows]), rows)
            value.backward()
            optimizer.step()
            schedule.step()
            total += float(value.detach()) * len(rows)
        unseen = float("nan")
        if cut < len(x):
            with torch.no_grad():
                unseen = float(loss(network(x[cut:]), torch.arange(cut, len(x))))
        curve.append((total / cut, unseen))
    return curve
