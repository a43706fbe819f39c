"""How the learning rate changes while the task is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

EACH_BATCH = (OneCycleLR, CyclicLR)  # as torch says; the others go on after an epoch


class Schedule:
    """What `make` makes of an optimizer when the task starts; priming keeps the optimizer's own
    learning rate. `rate`: that of the last batch.
    """

    def __init__(self, make: Callable[[Optimizer], LRScheduler]) -> None:
        self._make = make
        self._rule: LRScheduler | None = None
        self.rate: float | None = None

    def start(self, optimizer: Optimizer) -> None:
        """Start with the optimizer's present learning rate."""
        self._rule = self._make(optimizer)

    def after_batch(self, optimizer: Optimizer) -> None:
        self.rate = optimizer.param_groups[0]["lr"]
        if isinstance(self._rule, EACH_BATCH):
            self._rule.step()

    def after_epoch(self, loss: float) -> None:
        """`loss`: what a schedule that waits for a plateau watches."""
        if isinstance(self._rule, ReduceLROnPlateau):
            self._rule.step(loss)
        elif self._rule is not None and not isinstance(self._rule, EACH_BATCH):
            self._rule.step()

    def state_dict(self) -> dict[str, Any] | None:
        """The state of the schedule, None before the task."""
        return None if self._rule is None else self._rule.state_dict()

    def load_state_dict(self, optimizer: Optimizer, state: dict[str, Any] | None) -> None:
        """To be called before the state of the `optimizer` is loaded, whose learning rate this
        changes.
        """
        if state is not None:
            self.start(optimizer)
            assert self._rule is not None
            self._rule.load_state_dict(state)
