"""A run after training: its network with its weights, its config and its metrics."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from fdi.config import Mistake
from fdi.config.metric import of_result
from fdi.data.dataset import Split, is_finite, stream
from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.runner import build
from fdi.snn.network import Network
from fdi.snn.objective import Objective
from fdi.track import evidence, record
from fdi.track.files import CHECKPOINT, printable

Given = torch.Tensor | np.ndarray | Input | Split | Sequence[Any] | None


@dataclass(frozen=True, repr=False)
class Trained:
    """A run with its network and results.

    `network`: on the CPU, with the trained weights, in the bits of the run. `config`: as resolved
    when the run started. `metrics`: one row per epoch. `result`: its final numbers, None while
    training goes on.

    `predictions`, `spikes` and `potentials` take `inputs` in the form of the data of a run, samples
    first, (samples, T, units) or (samples, T, C, H, W), or what else a network is called with; a
    split of fdi.data, or None, the test set, which is read for it, has labels, too.
    """

    directory: Path
    network: Network
    config: DictConfig
    metrics: pd.DataFrame
    result: dict[str, Any] | None

    def __repr__(self) -> str:
        epochs = f"{len(self.metrics)} epoch{'' if len(self.metrics) == 1 else 's'}"
        reached = "not finished"
        if self.result:
            metric, (last, _) = of_result(self.result), record.tested(self.result)
            known = self.result[last] is not None
            reached = f"test {metric.name} {metric.text(self.result[last])}" * known or "not tested"
        return f"<run {self.directory}: {epochs}, {reached}>"

    def predictions(self, inputs: Given = None) -> pd.DataFrame:
        """A row per sample, or with trainer.readout=every per sample and `step`: `readout/k` of
        each class or number k, reduced over time as in training; of the test set, `label` or the
        numbers `target/k`; and where these are classes `predicted`, the one that is largest.
        """
        given, labels = self._given(inputs)
        with torch.no_grad():
            readout = self.network(given)
        reduced = Objective(self.config.trainer.readout).logits(readout).numpy()
        steps = reduced.shape[1:-1]
        rows = reduced.reshape(-1, reduced.shape[-1])
        table = pd.DataFrame({f"readout/{k}": column for k, column in enumerate(rows.T)})
        if build.loss(self.config).classes is not False:
            table.insert(0, "predicted", rows.argmax(1))
        if labels is not None:
            table = pd.concat([_targets(labels, steps), table], axis=1)
        places = np.indices((len(reduced), *steps)).reshape(1 + len(steps), -1)
        for name, place in zip(("step", "sample")[-len(places) :], places[::-1]):
            table.insert(0, name, place)
        return table

    def spikes(self, inputs: Given = None) -> pd.DataFrame:
        """A row per spike of a hidden neuron: `sample`, `population`, `unit`, `time` (s)."""
        return self._traced("spikes", inputs)

    def potentials(self, inputs: Given = None) -> pd.DataFrame:
        """A row per sample, hidden neuron and step: as `spikes`, and `potential` in units of the
        neuron's threshold. It is long: give few samples.
        """
        return self._traced("potentials", inputs)

    def _traced(self, kind: str, inputs: Given) -> pd.DataFrame:
        given, _ = self._given(inputs)
        with torch.no_grad():
            activity = self.network.activity(given, (kind,))
        tables = []
        for population in self.network.hidden:
            values_TBN = getattr(activity, kind)[population.name].flatten(2).numpy()
            at = np.nonzero(values_TBN if kind == "spikes" else np.ones_like(values_TBN))
            steps, samples, units = at
            table = {"sample": samples, "population": population.name, "unit": units}
            table["time"] = steps * self.network.dt
            if kind == "potentials":
                table["potential"] = values_TBN[at] / population.neuron.theta
            tables.append(pd.DataFrame(table).sort_values(["sample", "time", "unit"]))
        return pd.concat(tables, ignore_index=True)

    def _given(self, inputs: Given) -> tuple[Any, np.ndarray | None]:
        """What the network is called with, and labels, if they are known."""
        split = build.dataset(self.config).test if inputs is None else inputs
        if isinstance(split, Split):
            noise = stream(self.config.seed, "evaluation noise", 0)
            return split.batch(np.arange(len(split)), noise)
        if isinstance(inputs, list):
            return inputs, None
        if not isinstance(inputs, Events | Frames | Constant):
            inputs = self._measured(inputs)
        if not is_finite(inputs):
            raise Mistake("the input holds nan or infinite values; leave them out")
        return inputs, None

    def _measured(self, inputs: Any) -> Frames:
        if self.config.dataset.get("standardize"):
            raise Mistake(
                "this run standardized its input by its training set, and x is as it was measured; "
                "give fdi.data.inputs.Frames(x), standardized in the same way"
            )
        values = np.asarray(inputs)
        shape = self.network.input_shape
        if values.ndim < 3 or values.shape[2:] != shape:
            wanted = ", ".join(map(str, ("samples", "T", *shape)))
            raise Mistake(f"an input of {values.shape}; it must be ({wanted})")
        return Frames(values, currents=True)


def _targets(labels: np.ndarray, steps: tuple[int, ...]) -> pd.DataFrame:
    """A row for each prediction; without `steps` of it, the last step of each sample."""
    numbers = labels.dtype.kind == "f"
    of_steps = labels.ndim == 2 + numbers
    if of_steps and not steps:
        labels = labels[:, -1]
    elif steps and not of_steps:
        labels = np.repeat(labels[:, None], steps[0], axis=1)
    if not numbers:
        return pd.DataFrame({"label": labels.ravel()})
    columns = labels.reshape(-1, labels.shape[-1]).T
    return pd.DataFrame({f"target/{k}": column for k, column in enumerate(columns)})


def load(
    directory: str | Path, weights: str = "last", modules: Sequence[str | Path] = ()
) -> Trained:
    """Network, config, metrics and result of the run in `directory`; nothing is written.

        run = fdi.load("results/runs/randman/dense/fluct/seed=0-1a2b3c4d")
        run.network.weights()["input->h1"]

    `weights`: those after the "last" epoch, or after the "best" validation epoch. `modules`:
    folders of your own that the code of the run's model is in; those that the run names are not
    trusted. Raises fdi.Mistake where there is no run, or nothing trained yet.
    """
    if weights not in ("last", "best"):
        raise Mistake(f"weights = {weights!r} must be 'last' or 'best'")
    directory = Path(directory)
    done = record.look(directory)
    if not done.evidence or not (directory / CHECKPOINT).exists():
        why = f" ({printable(done.error)})" if done.error else ""
        raise Mistake(
            f"{directory} holds no trained run{why}; give a "
            f"folder results/runs/<dataset>/<model>/<init>/seed=<n>-<id>"
        )
    state = evidence.checkpoint(directory, done)
    saved = state["weights"] if weights == "last" else state["progress"]["best_weights"]
    if saved is None:
        raise Mistake(f"{directory}: no epoch of the task yet; use weights='last'")
    trusted = {"paths": {"modules": [str(Path(folder).resolve()) for folder in modules]}}
    try:
        config = DictConfig(OmegaConf.merge(OmegaConf.create(done.config), trusted))
        form: Any = SimpleNamespace(**done.origin["data"])
        here = DictConfig(OmegaConf.merge(config, {"device": "cpu"}))
        network = build.network(here, form, saved)
        network.load_time_constants(state.get("time_constants", {}))
        network.load_weights(saved)
        if config.get("quantize"):
            network.quantize(config.quantize)
        network.eval()
        metrics = pd.read_csv(io.StringIO(record.learning_curve(directory, done)))
    except Exception as error:  # of files that fdi did not write, or not alone
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ValueError | OSError):
            reason = str(error)
        said = printable(" ".join(reason.split()))
        raise Mistake(f"{directory}: not the run it was: {said}") from error
    return Trained(directory, network, config, metrics, done.result)
