"""What fdi lets a configuration give to the optimizers of torch.optim, and within which ranges:
torch checks some of them, and only when it is called. Read by fdi.config.checks, never called.
"""

from __future__ import annotations

from fdi.config.ranges import NotNegative, Positive, Share


class Adam:
    lr: Positive
    betas: tuple[Share, Share]
    eps: Positive
    weight_decay: NotNegative
    amsgrad: bool


class AdamW(Adam):
    pass


class SGD:
    lr: Positive
    momentum: Share
    dampening: Share
    weight_decay: NotNegative
    nesterov: bool


class RMSprop:
    lr: Positive
    alpha: Share
    eps: Positive
    weight_decay: NotNegative
    momentum: Share
    centered: bool
