"""What fdi lets a configuration give to the schedules of torch.optim.lr_scheduler, and within which
ranges. Those that take functions or other schedules are not here: no configuration can say them.
Read by fdi.config.parts, never called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from fdi.config.parts import Count, Index, NotNegative, Positive, Share


class StepLR(TypedDict, total=False):
    step_size: Count
    gamma: Positive


class MultiStepLR(TypedDict, total=False):
    milestones: Sequence[Count]
    gamma: Positive


class ConstantLR(TypedDict, total=False):
    factor: Positive
    total_iters: Index


class LinearLR(TypedDict, total=False):
    start_factor: Positive
    end_factor: NotNegative
    total_iters: Count


class ExponentialLR(TypedDict, total=False):
    gamma: Positive


class PolynomialLR(TypedDict, total=False):
    total_iters: Count
    power: Positive


class CosineAnnealingLR(TypedDict, total=False):
    T_max: Count
    eta_min: NotNegative


class CosineAnnealingWarmRestarts(TypedDict, total=False):
    T_0: Count
    T_mult: Count
    eta_min: NotNegative


class OneCycleLR(TypedDict, total=False):
    max_lr: Positive
    total_steps: Count | None
    epochs: Count | None
    steps_per_epoch: Count | None
    pct_start: Share
    anneal_strategy: Literal["cos", "linear"]
    cycle_momentum: bool
    base_momentum: Share
    max_momentum: Share
    div_factor: Positive
    final_div_factor: Positive
    three_phase: bool


class CyclicLR(TypedDict, total=False):
    base_lr: Positive
    max_lr: Positive
    step_size_up: Count
    step_size_down: Count | None
    mode: Literal["triangular", "triangular2", "exp_range"]
    gamma: Positive
    cycle_momentum: bool
    base_momentum: Share
    max_momentum: Share


class ReduceLROnPlateau(TypedDict, total=False):
    factor: Share
    patience: Index
    threshold: NotNegative
    threshold_mode: Literal["rel", "abs"]
    cooldown: Index
    min_lr: NotNegative
    eps: NotNegative
