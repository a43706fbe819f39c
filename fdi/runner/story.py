"""The story of one run: build, init, probe, fit, record, and the only look at the test set."""

from __future__ import annotations

import shlex
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from fdi.config import Mistake
from fdi.config.metric import ACCURACY
from fdi.data.dataset import Dataset, Split
from fdi.data.inputs import Input, MissingData
from fdi.engine import Engine
from fdi.runner import build
from fdi.runner.build import RunContext
from fdi.runner.operations import operations
from fdi.runner.training import (
    batch,
    initial_network,
    load_checkpoint,
    take_initial_state,
    train,
    write_initial_state,
)
from fdi.snn.network import Network
from fdi.snn.objective import Objective, Predicted
from fdi.track import evidence, record
from fdi.track.files import (
    CHECKPOINT,
    LOG,
    METRICS,
    PROBE,
    RUN,
    Metrics,
    atomic,
    make_directory,
    write_checkpoint,
)
from fdi.track.process import lock
from fdi.track.record import Run, shorter
from fdi.train.optimizers import relative_to
from fdi.train.trainer import Phase, Progress, activity


def splits(context: RunContext) -> dict[str, Split]:
    """The splits of the data, as the engine keeps them if it does."""
    raw, engine = context.data.splits, context.engine
    if not engine.keeps:
        return raw
    fixed = _fixed(context)
    for name in raw:
        if len(raw[name]) and name not in fixed:
            context.view.say(f"{name} sent batch by batch: it is transformed on the CPU")
    if not fixed:
        return raw
    inputs = {name: each.inputs for name, each in fixed.items()}
    kept, line = engine.keep(context.network, inputs, context.trainer.batch_size)
    context.view.say(line)
    return raw | {name: replace(fixed[name], inputs=inputs) for name, inputs in kept.items()}


def _fixed(context: RunContext) -> dict[str, Split]:
    raw = context.data.splits
    return {name: each for name, each in raw.items() if len(each) and each.transform is None}


def execute(
    values: Mapping[str, Any], directory: Path, view: Any, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Execute the run of these `values` (fdi.config.settings) in `directory`, or go on where it
    stopped; returns its result. It shows itself to `view`, a fdi.cli.terminal.Terminal; `overrides`
    lead to the values, and are written down.

    A run that is done is not run again, and nothing in its directory is touched; with probe=only
    nothing is trained, and nothing returned. Raises ValueError for what a user can mend, Diverged
    for a training that fails, Busy if another process is at it; whatever is raised on the way is in
    the record and run.log first.
    """
    if record.finished(directory, values["probe"]):
        before = record.whole(directory)
        line = evidence.check_done(
            directory, before, values, lambda: build.dataset(_config(values)).checksum
        )
        if line:
            view.say(line)
        return before.result or {}
    with lock(directory, values["take_over"]):
        before = record.look(directory)
        if before.state == "broken":  # nobody can tell of which data and code it is
            raise Mistake(
                f"{directory} is broken: {before.error}; put the file back, or delete the folder "
                f"to run it again"
            )
        if before.result is not None:  # another process was here a moment ago
            return before.result
        make_directory(directory)
        kept = {name: getattr(before, name) for name in KEPT}
        begun = replace(record.new(values, overrides), **kept)
        if (directory / RUN).exists():  # others see from now on that it goes on
            record.write(directory, begun)
        try:
            return _run(values, directory, view, begun)
        except (KeyboardInterrupt, SystemExit):
            with suppress(OSError, ValueError):
                record.write(directory, replace(_known(directory, begun), state="interrupted"))
            raise
        except Exception as error:
            raise _recorded(error, values, directory, begun) from None


KEPT = ("epoch", "epochs", "evidence", "origin", "resumed", "files")
"""What of a record stays when its run goes on."""


def _known(directory: Path, begun: Run) -> Run:
    """The record; `begun`, that of a new run, until there is one."""
    return record.whole(directory) if (directory / RUN).exists() else begun


def _recorded(
    error: Exception, values: Mapping[str, Any], directory: Path, begun: Run
) -> Exception:
    if isinstance(error, torch.cuda.OutOfMemoryError):
        gib = values["engine"].get("memory")
        limit = f"engine.memory = {gib:g} (GiB of a step and its data) or " if gib else ""
        error = MemoryError(
            f"device {values['device']} is out of memory; lower {limit}trainer.batch_size"
        )
    with suppress(OSError, ValueError):  # its folder is gone: only the caller can tell
        (directory / LOG).write_text(traceback.format_exc())
        value = isinstance(error, ValueError)
        reason = str(error) if value else f"{type(error).__name__}: {error}"
        refused = value and not isinstance(error, MissingData)
        run = _known(directory, begun)
        record.write(directory, replace(run, state="failed", error=reason, refused=refused))
    return error


def _run(values: Mapping[str, Any], directory: Path, view: Any, begun: Run) -> dict[str, Any]:
    context = _built(config := _config(values), values, directory, view)
    if not (directory / CHECKPOINT).exists() and context.probe != "only":
        _take_over(context, begun)
    plan = _planned(context)
    initial, measure, updates = initial_network(context)
    if config.trainer.get("lr_relative"):
        relative_to(context.trainer.optimizer, context.network, initial)
    progress = _resume(context)
    run = _of_origin(context, progress.epoch, plan, begun)
    if context.probe == "only":
        take_initial_state(context, initial, measure, updates)
        state = "interrupted" if (directory / CHECKPOINT).exists() else "probed"
        record.end(directory, run, state)
        return {}
    with build.mirror(config, values, directory, progress.epoch) as mirror:
        rows: list[dict[str, Any]] = []
        if progress.epoch:
            view.say(f"{directory}: resumed after epoch {progress.epoch}")
        else:
            rows = take_initial_state(context, initial, measure, updates)
            if mirror and rows:
                mirror.probe(rows)
        del measure  # it keeps spikes
        epochs = sum(phase.epochs for phase in context.phases)
        files = run.files | record.tables(directory, PROBE)
        record.write(directory, replace(run, epochs=epochs, files=files))
        known = run.files.get(METRICS) if progress.epoch else None
        metrics = Metrics(directory / METRICS, progress.epoch, known)
        data = splits(context)
        train(context, data, progress, metrics, mirror, initial, rows)
        result = final_result(context, data, progress, initial)
        if mirror:
            mirror.result(result)
        run = replace(record.whole(directory), epoch=progress.epoch)
        record.end(directory, run, "done", result)
    return result


def _of_origin(context: RunContext, epoch: int, plan: Mapping[str, Any], begun: Run) -> Run:
    """The record with what the run comes from; of one that goes on after `epoch`, beside what it
    came from first.
    """
    values, directory = context.values, context.directory
    run = _known(directory, begun)
    if context.probe == "only" and (directory / CHECKPOINT).exists():  # its training stays as it is
        return run
    now = evidence.origin(context.device, context.threads)
    if not now["command"].startswith("fdi-run"):  # a worker of a launcher
        now["command"] = shlex.join(["fdi-run", *run.words])
    form = {key: getattr(context.data, key) for key in ("shape", "classes", "steps", "dt")}
    now |= {"engine": values["engine"]["name"], "data": form, **plan}
    if epoch and run.evidence:
        if line := evidence.other_than_before(directory, run, now):
            context.view.say(line)
        run = replace(
            run,
            evidence=evidence.resumed(run.evidence, epoch),
            resumed=[*run.resumed, {"epoch": epoch, **now}],
        )
    else:
        mine = evidence.of_run(values, context.data.checksum)
        measured = record.tables(directory, PROBE)
        if not evidence.same(run.evidence, mine) or run.files.get(PROBE) != measured.get(PROBE):
            (directory / PROBE).unlink(missing_ok=True)  # with probe=none none follows
            measured = {}
        run = replace(run, evidence=mine, origin=now, resumed=[], files=measured)
    return replace(run, epoch=epoch)


FORWARD = 0.4  # of the time of a step, without its backward pass
STEPS = 5  # of training that are timed where they take less than a second, else one is


def try_epoch(values: Mapping[str, Any]) -> float:
    """Core-seconds of an epoch of the run of these `values`, by some steps of training after as
    many in which kernels may be compiled; nothing is written or downloaded: data that are not here
    have a stand-in.
    """
    from fdi.data.download import SOURCES, present  # what no run needs
    from fdi.data.stand_in import published, stand_in

    name, options = values["name"]["dataset"], values["dataset"]
    size, root = values["trainer"]["batch_size"], options.get("root")
    absent = root is not None and not (name in SOURCES and present(name, Path(root)))
    given = stand_in(name, options, STEPS * size) if absent else None
    silent: Any = SimpleNamespace(say=lambda line: None)
    with TemporaryDirectory() as folder:
        context = _built(_config(values), values, Path(folder), silent, given)
        context.network.load_weights(initial_network(context)[0].weights())
        each = _sample_seconds(context, size)
        if each * STEPS * size < 1:
            each = _sample_seconds(context, STEPS * size)
    splits = context.data.splits
    train, valid = (
        published(name, options) if absent else (len(splits["train"]), len(splits["valid"]))
    )
    return each * (train + FORWARD * valid)


def _config(values: Mapping[str, Any]) -> DictConfig:
    """The values with dots between keys, but for those that say what a run is."""
    used = {key: value for key, value in values.items() if key not in ("identity", "recipe")}
    return OmegaConf.create(used, flags={"struct": True})


def _sample_seconds(context: RunContext, few: int) -> float:
    """Core-seconds that a sample takes in the second of two epochs of a `few`."""
    ends: list[float] = []
    data, phase = context.data, context.phases[0]
    tried = data.train.only(np.arange(min(few, len(data.train))))
    context.trainer.fit(
        tried,
        None,
        [Phase(phase.name, phase.objective, 2)],
        Progress(),
        duration=data.steps * data.dt,
        on_epoch=lambda row: ends.append(time.process_time()),
    )
    return (ends[1] - ends[0]) / len(tried)


def _built(
    config: DictConfig,
    values: Mapping[str, Any],
    directory: Path,
    view: Any,
    given: Dataset | None = None,
) -> RunContext:
    """All objects of the run, with the `given` data or its own. Raises ValueError for what does not
    fit together.
    """
    data = given or build.dataset(config)
    device = build.device(config)
    network, engine = build.network(config, data), build.engine(config)
    if data.steps <= network.delay:
        raise Mistake(
            f"a trial has {data.steps} of the {network.delay + 1} steps that a spike takes to "
            f"reach the membrane; make it longer (dataset.steps or dataset.duration)"
        )
    engine.check(network)
    made = data, device, network.to(device), engine
    context = build.run_context(config, values, directory, view, *made)
    last = len(data.train) % context.trainer.batch_size or context.trainer.batch_size
    for norm in context.network.norms.values():  # of an epoch, the batch that may be too small
        norm.check(last)
    build.check_targets(config, data)
    if data.said:
        view.say(data.said)
    view.say(f"engine {config.engine.name}, device {config.device}")
    if remark := context.engine.remark(config):
        view.say(remark)
    return context


def _planned(context: RunContext) -> Mapping[str, Any]:
    """How the engine computes the run, for its record and for the user: as at its first start."""
    directory, batch_size = context.directory, context.trainer.batch_size
    before = record.whole(directory).origin if (directory / CHECKPOINT).exists() else {}
    splits = {name: each.inputs for name, each in _fixed(context).items()}
    plan = context.engine.plan(context.network, context.data.steps, batch_size, splits, before)
    for line in plan.lines:
        context.view.say(line)
    return plan.record


def _take_over(context: RunContext, begun: Run) -> None:
    """Begin with the files of the longest finished run that was trained alike, for as many epochs
    or fewer: then the numbers are those of a run from the start.
    """
    values, directory = context.values, context.directory
    if not (candidates := shorter(directory, values)):
        return
    mine = evidence.of_run(values, context.data.checksum)
    now = evidence.origin(context.device, context.threads)
    for epochs, other in candidates:
        run = record.whole(other)
        if not evidence.same(run.evidence, mine) or (run.evidence or {})["split"] != mine["split"]:
            continue
        if epochs < context.phases[-1].epochs and epochs % (context.probe_every or 1):
            continue  # its last epoch is probed, ours would not be
        if evidence.other_than_before(other, run, now):
            continue
        try:
            state = evidence.checkpoint(other, run)
        except ValueError as error:
            context.view.say(f"{directory}: begins anew, since {error}")
            continue
        if record.tables(other, *run.files) != run.files:
            continue
        if rows := record.initial_state(other, run):
            write_initial_state(context, rows)
        taken = replace(
            begun,
            evidence=run.evidence,
            origin=run.origin | {"continues": str(other)},
            resumed=run.resumed,
            files=record.tables(directory, PROBE) if rows else begun.files,
        )
        own = record.write(directory, taken)
        with atomic(directory / METRICS) as path:
            shutil.copyfile(other / METRICS, path)
        state["run"] = state["run"] | evidence.owner(own)  # this makes it a run that goes on
        write_checkpoint(directory / CHECKPOINT, state)
        context.view.say(f"{directory}: goes on after the {epochs} epochs of {other}")
        return


def _resume(context: RunContext) -> Progress:
    """The progress of the checkpoint, if there is one, to which the record is put back; raises
    ValueError if it is damaged, that of another run, or comes from other data or code.
    """
    values, directory = context.values, context.directory
    path = directory / CHECKPOINT
    if not path.exists():
        return Progress()
    run = record.whole(directory)
    evidence.refuse_other_code(directory, run, values)
    evidence.refuse_other_data(directory, run, values["dataset"], context.data.checksum)
    if context.probe == "only":
        return Progress()
    state = evidence.checkpoint(directory, run)
    measured = record.tables(directory, PROBE)
    if measured and measured[PROBE] != run.files.get(PROBE):
        raise Mistake(
            f"{directory / PROBE} is not the initial state that this run measured; put that one "
            f"back, or delete the file to go on without"
        )
    progress = load_checkpoint(
        path, state, context.network, context.trainer.optimizer, context.trainer.schedule
    )
    own = state["run"]
    files = own["files"] | measured
    record.change(directory, epoch=progress.epoch, evidence=own["evidence"], files=files)
    progress.go_on(context.phases)
    return progress


def movement(
    network: Network,
    initial: Network,
    engine: Engine,
    inputs: Input,
    started: Mapping[str, Tensor] | None = None,
) -> dict[str, dict[str, float | None]]:
    """`moved`, of each projection by its name, and `alignment`, of each hidden population:

        moved = |W - W1| / |W0|
        alignment = |Y0' Y|^2 / (|Y0' Y0| |Y' Y|)

    with Frobenius norms, and Y [B, units] the spike counts of `inputs` without their mean over the
    B samples: the linear kernel alignment (CKA, Kornblith et al. 2019), 1 for equal
    representations. None where W0 is zero, or where counts do not differ between samples.

    W1 are the weights at the first gradient: W0, or those in `started` where the optimizer has
    weight decay, by which weights move before, as `decayed` = |W1 - W0| / |W0| then says.
    """
    before, after = initial.weights(), network.weights()
    names = [projection.name for projection in network.projections]
    counts = [engine.simulate(net, inputs).counts for net in (initial, network)]
    first = before
    if started is not None:  # without a gradient, all of it is decay
        first = {name: started.get(name, after[name]) for name in names}
    moves = {
        "moved": {name: _share(after[name], first[name], before[name]) for name in names},
        "alignment": {name: alignment(counts[0][name], counts[1][name]) for name in counts[0]},
    }
    if started is not None:
        moves["decayed"] = {name: _share(first[name], before[name], before[name]) for name in names}
    return moves


def alignment(before: Tensor, after: Tensor) -> float | None:
    """The linear kernel alignment of two arrays [B, ...] of the same samples."""
    flat = [counts.detach().cpu().flatten(1).double() for counts in (before, after)]
    centred = [samples - samples.mean(0) for samples in flat]
    kernels = [samples @ samples.T for samples in centred]
    norms = [float(kernel.norm()) for kernel in kernels]
    if not all(norms):
        return None
    return float((kernels[0] * kernels[1]).sum()) / (norms[0] * norms[1])


def _share(after: Tensor, before: Tensor, initial: Tensor) -> float | None:
    after, before, initial = (weight.cpu().double() for weight in (after, before, initial))
    norm = float(initial.norm())
    return float((after - before).norm()) / norm if norm else None


def final_result(
    context: RunContext, splits: dict[str, Split], progress: Progress, initial: Network
) -> dict[str, Any]:
    """Evaluate the test set with the last weights and with those of the best validation epoch, in
    the bits of the run, and measure how far the last are from the `initial` ones. With
    trainer.test=false nothing is known of the test set, and rates are those of the validation set.
    """
    data, network, loss = context.data, context.network, context.loss
    objective = Objective(context.phases[-1].objective.readout, loss=loss)
    metric, key = loss.judged_by, loss.judged_by.key
    trainer = context.trainer
    changed = movement(
        network,
        deepcopy(initial).to(context.device),
        context.engine,
        batch(context)[0],
        progress.started if trainer.decays else None,
    )
    tested, bits = context.tested, context.bits
    unseen = "valid" if len(splits["valid"]) else "train"
    named = "test" if tested else unseen
    if bits:
        network.quantize(bits)
    split = splits[named]
    last = best = trainer.evaluate(split, objective)
    by_sample = {}
    if metric == ACCURACY and objective.by_hand(split.labels):  # one class a sample
        each = trainer.outcomes(split, replace(objective, loss=Predicted()))
        predicted = np.concatenate([batch.sums.astype(int) for batch in each])
        confusion = np.zeros([data.classes] * 2, int)
        np.add.at(confusion, (split.labels, predicted), 1)
        by_sample["confusion"] = confusion.tolist()
        if tested:
            by_sample["hits"] = np.packbits(predicted == split.labels).tobytes().hex()
    cost = operations(
        network, context.engine, data.splits[named], last, trainer.batch_size, trainer.seed
    )
    if tested and progress.best_weights is not None and progress.best_epoch != progress.epoch:
        network.load_weights(progress.best_weights)
        if bits:
            network.quantize(bits)
        best = trainer.evaluate(split, objective)
    rates = activity(last, data.steps * data.dt)
    return {
        **context.name,
        "seed": trainer.seed,
        "epochs": progress.epoch,
        key("test_accuracy_last"): loss.score(last.sums) if tested else None,
        key("test_accuracy_best"): loss.score(best.sums) if tested else None,
        "test_loss_last": last.task / last.samples if tested else None,
        key("train_accuracy_last"): progress.train_accuracy,
        "train_loss_last": progress.train_task,
        "best_epoch": progress.best_epoch,
        key("valid_accuracy_best"): progress.best_accuracy,
        key("valid_accuracy_last"): progress.accuracy,
        **({} if metric == ACCURACY else {"metric": metric._asdict()}),
        "classes": None if data.numbers else data.classes,
        "test_samples": last.samples if tested else None,
        "seconds": progress.seconds,
        "rates": {name: rates[f"rate/{name}"] for name in last.counts},
        "silent": {name: rates[f"silent/{name}"] for name in last.counts},
        **changed,
        **({"unmoved": progress.unmoved} if progress.unmoved else {}),
        **({"tau_mem": network.learned()} if network.leaks else {}),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        **({"operations": cost} if cost else {}),
        **by_sample,
    }
