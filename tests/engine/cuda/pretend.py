"""A pretended GPU: tensors that live in the memory of the CPU and behave as on a GPU, so that what
crashes or waits there crashes or is counted here.

It refuses to mix with tensors of the CPU (0-dim ones and indices excepted), to take a generator of
another device, to be read by numpy, and algorithms that are not deterministic on a GPU. It counts
synchronizations (uploads that are waited for among them) and bytes in use. Of more than ROOM bytes
it runs out.
"""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import dataclass

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

try:
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
except ImportError:
    pytest.skip(
        f"no pretended GPU: torch {torch.__version__} has no devices written in Python",
        allow_module_level=True,
    )

aten = torch.ops.aten
DEVICE = "pretended"
WAITS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero}
INDEXED = {aten.index, aten.index_put, aten.index_put_}
UNORDERED = {  # on CUDA, by PyTorch's notes on reproducibility
    aten.max_pool2d_with_indices_backward,
    aten.nll_loss2d_backward,
    aten.cumsum,
    aten.bincount,
    aten.histc,
}


@dataclass
class Count:
    """Since it was last set to 0: `waits` for the device; bytes in use now and at most."""

    waits: int = 0
    bytes: int = 0
    peak: int = 0


COUNT = Count()
ROOM = math.inf
"""Those of the device."""


class Pretended(torch.Tensor):
    """`value`: the tensor on the CPU that holds the numbers."""

    value: torch.Tensor

    @staticmethod
    def __new__(cls, value: torch.Tensor) -> Pretended:
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            value.shape,
            strides=value.stride(),
            storage_offset=value.storage_offset(),
            dtype=value.dtype,
            device=torch.device(f"{DEVICE}:0"),
        )
        self.value = value
        _hold(value.untyped_storage())
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):  # type: ignore[override]
        return compute(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]
        return f"pretended {self.value!r}"


class Pretend(TorchDispatchMode):
    """While it is on, tensors can be created on the pretended device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def device() -> torch.device:
    return torch.device(DEVICE, 0)


_setup_privateuseone_for_python_backend(DEVICE)  # before autograd counts the devices


def compute(func, args, kwargs):
    """`func` on the numbers, with what a GPU would do about them."""
    leaves = tree_leaves((args, kwargs))
    ours = any(isinstance(x, Pretended) for x in leaves)
    target = torch.device(kwargs["device"]).type if kwargs.get("device") is not None else None
    if not ours and target != DEVICE:
        return func(*args, **kwargs)
    packet = func.overloadpacket
    _refuse(packet, args, kwargs, leaves)
    if packet in WAITS or _copies_and_waits(packet, args, kwargs, target):
        COUNT.waits += 1
    if "device" in kwargs:
        kwargs = kwargs | {"device": "cpu"}
    plain_args, plain = tree_map(
        lambda x: x.value if isinstance(x, Pretended) else x, (args, kwargs)
    )
    result = func(*plain_args, **plain)
    if target not in (None, DEVICE):
        return result
    written = [
        x
        for x, argument in zip(args, func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    written += [kwargs[a.name] for a in func._schema.arguments if a.is_out and a.name in kwargs]
    if written and len(func._schema.returns) == len(written):
        return written[0] if len(written) == 1 else tuple(written)
    return tree_map(lambda x: Pretended(x) if isinstance(x, torch.Tensor) else x, result)


def _refuse(packet, args, kwargs, leaves) -> None:
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type != DEVICE:
        raise RuntimeError(
            f"Expected a '{DEVICE}' device type for generator but found '{generator.device.type}'"
        )
    if packet in UNORDERED and torch.are_deterministic_algorithms_enabled():
        raise RuntimeError(f"{packet} does not have a deterministic implementation")
    if packet in (aten.copy_, aten._to_copy):
        return
    tensors = tree_leaves((args[:1], args[2:]) if packet in INDEXED else (args, kwargs))
    for x in tensors:
        if isinstance(x, torch.Tensor) and not isinstance(x, Pretended) and x.ndim:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, "
                f"{DEVICE}:0 and cpu! ({packet}, shape {tuple(x.shape)})"
            )


def _copies_and_waits(packet, args, kwargs, target: str | None) -> bool:
    """From the device, or to it without non_blocking; an index on the CPU is copied so."""
    ours = isinstance(args[0], Pretended) if args else False
    if packet in INDEXED:
        chosen = [i for i in args[1] if isinstance(i, torch.Tensor)]
        mask = packet is aten.index and any(i.dtype == torch.bool for i in chosen)
        return mask or any(not isinstance(i, Pretended) for i in chosen)
    if packet is aten.copy_:
        source, waits = args[1], not (kwargs.get("non_blocking") or any(args[2:]))
        return (ours != isinstance(source, Pretended)) and (waits or not ours)
    if packet is aten._to_copy and target is not None:
        return ours if target != DEVICE else not ours and not kwargs.get("non_blocking")
    return False


def _is_view(func) -> bool:
    alias = func._schema.returns[0].alias_info if func._schema.returns else None
    return alias is not None and not alias.is_write


def in_use() -> int:
    """Bytes of what still lives; the peak is counted from here on.

    Python frees what refers to itself at a moment of its own: what earlier tests left would go away
    in the middle of a measurement.
    """
    gc.collect()
    COUNT.peak = COUNT.bytes
    return COUNT.bytes


_held: set[int] = set()


def _hold(storage: torch.UntypedStorage) -> None:
    """Count the bytes of a storage as long as it lives."""
    key, size = storage.data_ptr(), storage.nbytes()
    if key in _held or not size:
        return
    _held.add(key)
    COUNT.bytes += size
    if COUNT.bytes > ROOM:
        raise torch.cuda.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")
    COUNT.peak = max(COUNT.peak, COUNT.bytes)
    weakref.finalize(storage, _let_go, key, size)


def _let_go(key: int, size: int) -> None:
    _held.discard(key)
    COUNT.bytes -= size
