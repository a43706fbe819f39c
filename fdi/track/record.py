"""A run is one record, run.json in its folder: what it is, what it came from, how far it is, what
came of it, and what its user said of it.

A record certifies itself. The id in the name of its folder is the hash of its configuration
without what cannot change its numbers (fdi.config.identity). All of it but tags and note has a
checksum, the seal, and so have its learning curves, its initial state, and its last checkpoint.
Its fields have types and ranges (fdi.track.fields). Reading checks all of this: one that was
edited, has rotted, or lies in the folder of another run is broken, and a line says how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fdi.config import Mistake, identity
from fdi.config.cache import Stamp, stamp
from fdi.config.metric import of_result
from fdi.track.fields import is_state, misfit
from fdi.track.files import (
    CHECKPOINT,
    METRICS,
    PROBE,
    RUN,
    RUNS,
    digest,
    hashed,
    parse_json,
    read,
    write_json,
)
from fdi.track.process import holder

UNTESTED = "untested"  # trained with trainer.test=false
TRAINED = ("done", UNTESTED)
REFUSED = "refused"  # failed for a value that its user can mend
SETTLED = (*TRAINED, "probed", "failed", REFUSED)  # whoever is at work
STATES = (*TRAINED, "probed", "running", "failed", REFUSED, "interrupted", "missing", "broken")
STOPPED = ("failed", "interrupted")  # the same command goes on with them
OLDER = ("record.json", "status.json", ".hydra")  # files of a run of fdi before 0.3
STATE_WORDS = {"missing": "not run yet", UNTESTED: "selection run"}
"""What a person reads in place of a state."""
FREE = ("tags", "note", "seal")  # of a record, which its seal does not cover
MEASURED = ("test_accuracy_last", "test_accuracy_best")


@dataclass(frozen=True)
class Run:
    """The record of a run.

    `config`: all keys, complete, but for tags and note. `words`: the overrides that lead to it.
    `state`: one of STATES, as it was written; `look` says what it is now. `epoch` of `epochs` are
    behind it; `error`: why it failed; `refused`: for a value that its user can mend. `evidence`:
    what its numbers depend on besides the configuration (fdi.track.evidence); None until the run
    knows it. `origin`: what it takes to repeat it; of each later start the same is in `resumed`.
    `result`: its final numbers. `files`: name -> checksum of its initial state, of the learning
    curves up to `epoch` and, once it has ended, of its checkpoint.
    """

    config: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    state: str = "missing"
    epoch: int = 0
    epochs: int | None = None
    error: str | None = None
    refused: bool = False
    evidence: dict[str, Any] | None = None
    origin: dict[str, Any] = field(default_factory=dict)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    files: dict[str, str] = field(default_factory=dict)
    updated: str = ""
    tags: list[str] = field(default_factory=list)
    note: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it was trained to its end."""
        return self.result is not None

    @property
    def reason(self) -> str:
        """The last line of its error; of one that was interrupted, how far it is."""
        how_far = f"after epoch {self.epoch} of {self.epochs}" if self.epoch else "before training"
        how_far *= self.state == "interrupted"
        return next(reversed((self.error or "").strip().splitlines()), how_far)


KEYS = {entry.name for entry in fields(Run)}


def new(values: Mapping[str, Any], words: Sequence[str] = ()) -> Run:
    """The record of a run that begins now, with the values of its whole configuration."""
    whole = {key: value for key, value in values.items() if key not in ("tags", "note")}
    tags, note = [*(values.get("tags") or ())], values.get("note")
    return Run(config=whole, words=list(words), state="running", tags=tags, note=note)


def place(config: Mapping[str, Any]) -> Path:
    """The folder of a run: results/runs/<dataset>/<model>/<init>/seed=<n>-<id>."""
    folder = Path(config["paths"]["results"]) / RUNS / identity.run_folder(config)
    return folder / f"seed={config['seed']}-{identity.run_id(config)}"


OmegaConf.register_new_resolver(
    "run_name",
    lambda *, _root_: place(_root_).relative_to(Path(_root_.paths.results) / RUNS).as_posix(),
    replace=True,
)


def write(directory: Path, run: Run) -> Run:
    """Write the record as a whole, sealed now; the old one stays where that fails."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    run = replace(run, updated=now)
    content = vars(run)
    write_json(directory / RUN, content | {"seal": _seal(content)})
    return run


def change(directory: Path, **values: Any) -> Run:
    """Write the record with other values; raises ValueError where there is no whole one."""
    return write(directory, replace(whole(directory), **values))


def end(directory: Path, run: Run, state: str, result: dict[str, Any] | None = None) -> Run:
    """Write the record of a run that has ended, with the checksums of its files; without a result,
    of its initial state beside those of its training so far.
    """
    if result is None:
        files = run.files | tables(directory, PROBE)
    else:
        files = tables(directory, PROBE, METRICS, CHECKPOINT)
    return write(directory, replace(run, state=state, result=result, files=files, error=None))


def tables(directory: Path, *names: str) -> dict[str, str]:
    """The checksums of those files that are there."""
    sums = {name: checksum(directory / name) for name in names}
    return {name: found for name, found in sums.items() if found}


def whole(directory: Path, anywhere: bool = False) -> Run:
    """The record; `anywhere`: of a folder that may have another name. Raises ValueError, one line,
    where there is none or not a whole one.
    """
    path = directory / RUN
    content = parse_json(path)
    if content is None and not path.exists():
        raise Mistake(f"{path}: not there")
    if not isinstance(content, dict) or content.get("seal") != _seal(content):
        raise Mistake(f"{path}: edited or damaged, its checksum is another")
    del content["seal"]
    if more := {key for key in content.keys() - KEYS if content[key] is not None}:
        raise Mistake(f"{path}: written by a newer fdi, which knows {min(more)}")
    run = Run(**{key: content[key] for key in content.keys() & KEYS})
    foreign = None if anywhere else _foreign(directory, run.config)
    if problem := misfit(vars(run)) or foreign or _half(run):
        raise Mistake(f"{path}: {problem}")
    return run


def look(directory: Path) -> Run:
    """What one can see of a run now; nothing is raised.

    Its state is missing where there is nothing; broken where the record is not whole, and `error`
    says how; untested (a selection run) where the test set was not looked at; refused where it
    failed for a value that its user can mend; running only while a process holds it, else
    interrupted.
    """
    try:
        run = whole(directory)
    except ValueError as error:
        return _without(directory, error)
    if run.result is not None and all(run.result.get(key) is None for key in tested(run.result)):
        return replace(run, state=UNTESTED)
    if run.state == "failed" and run.refused:
        return replace(run, state=REFUSED)
    if run.state != "running" or holder(directory) is not None:
        return run
    return replace(run, state="interrupted")


def _without(directory: Path, error: ValueError) -> Run:
    try:
        there = (directory / RUN).exists()
    except PermissionError:  # a folder that may not be looked into
        there = True
    if there:
        return Run(state="broken", error=str(error).removeprefix(f"{directory}/"))
    if any((directory / name).exists() for name in OLDER):
        return Run(state="broken", error="written by fdi before 0.3, which kept other files")
    if (directory / CHECKPOINT).exists() or (directory / METRICS).exists():
        return Run(state="broken", error=f"{RUN}: not there")
    return Run(state="running" if holder(directory) else "missing")


def finished(directory: Path, probe: str) -> bool:
    """Whether nothing is left to do, for a run with this value of `probe`."""
    run = look(directory)
    known = probe == "only" and run.state != "broken" and initial_state(directory, run)
    return run.ended or bool(known)


def initial_state(directory: Path, run: Run) -> list[dict[str, Any]]:
    """The rows of init.json, none where there is no whole one, or one that is not that of `run`."""
    path = directory / PROBE
    try:
        rows: Any = parse_json(path)  # refuses a large one before its checksum is asked for
    except ValueError:
        return []
    if PROBE in run.files and checksum(path) != run.files[PROBE]:
        return []
    return rows if is_state(rows) else []


def learning_curve(directory: Path, run: Run) -> str:
    """The text of metrics.csv. Raises OSError, and ValueError where it is not what the run wrote,
    up to its last checkpoint while it has not ended.
    """
    path = directory / METRICS
    text = read(path) if run.epoch else ""
    own = text if run.ended else "".join(text.splitlines(keepends=True)[: run.epoch + 1])
    if run.epoch and digest(own) != run.files.get(METRICS):
        raise Mistake(f"{path} was changed since the run wrote it; put it back")
    return text


def checksum(path: Path) -> str | None:
    """`hashed`; None where there is no file that can be read."""
    try:
        return hashed(path)
    except (OSError, ValueError):
        return None


def shorter(directory: Path, values: Mapping[str, Any]) -> list[tuple[int, Path]]:
    """The finished runs that were trained as that of these `values`, which `directory` is for, for
    as many epochs or fewer, the longest first: their epochs and folders.
    """
    beside = {*directory.parent.glob(f"seed={values['seed']}-*")} - {directory}
    if not beside:
        return []
    wanted, now = identity.run_id(values), values["trainer"]["epochs"]
    ours = json.dumps({key: values.get(key) for key in ("identity", "quantize")}, sort_keys=True)
    trained = {other: _trained(other, stamp(str(other / RUN)), now, ours) for other in beside}
    alike = [(epochs, other) for other, (epochs, name) in trained.items() if name == wanted]
    return sorted(alike, reverse=True)


@lru_cache(maxsize=2**16)
def _trained(directory: Path, record: Stamp | None, most: int, ours: str) -> tuple[int, str]:
    """For how many epochs, at `most`, the run of this `record` was trained to its end, and the id
    that it has with `most` epochs and with these keys of ours; 0 and none if it was not.
    """
    run = look(directory)
    if not run.ended or (epochs := run.config["trainer"]["epochs"]) > most:
        return 0, ""
    trainer = run.config["trainer"] | {"epochs": most}
    return epochs, identity.run_id(run.config | json.loads(ours) | {"trainer": trainer})


def _seal(content: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in content.items() if key not in FREE}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _foreign(directory: Path, config: dict[str, Any]) -> str | None:
    """Why a configuration is not that of the folder."""
    try:
        name = f"seed={config['seed']}-{identity.run_id(config)}"
        home = identity.run_folder(config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"no configuration ({type(error).__name__}: {error})"
    if directory.name != name:
        return f"that of {name}, in another folder"
    above = "/".join(directory.absolute().parts[-4:-1])
    return None if above == home else f"that of {home}, in the folder {above}"


def _half(run: Run) -> str | None:
    """What a run that is done has, and no other."""
    if (run.result is None) is (run.state == "done"):
        return f"{run.state}, {'without' if run.result is None else 'with'} a result"
    lacking = [key for key in tested(run.result or {}) if (run.result or {}).get(key) is None]
    return f"{lacking[0]} is missing" if run.result and len(lacking) == 1 else None


def tested(result: Mapping[str, Any]) -> list[str]:
    """The numbers of a result that the test set gives."""
    return [*map(of_result(result).key, MEASURED)]
