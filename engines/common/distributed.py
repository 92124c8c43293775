"""Where a training process computes: its device, and which of how many processes it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.distributed
from torch import nn


@dataclass(frozen=True)
class DistributedContext:
    """One process of ``world``, on ``device``. Alone and on the CPU unless told otherwise."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def half(self) -> torch.dtype | None:
        """The short number type that this device computes in; None on a CPU that would only be slower with one."""
        if self.device.type != "cuda":
            return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Mixed precision where there is any."""
        return torch.autocast(self.device.type, self.half) if self.half else contextlib.nullcontext()

    def scaler(self) -> torch.amp.GradScaler:
        """Gradient scaling, which float16 alone needs; bfloat16 has the range of float32."""
        return torch.amp.GradScaler(self.device.type, enabled=self.half is torch.float16)

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over all processes."""
        if self.world == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=devices)

    def broadcast(self, value: int) -> int:
        """The first process's ``value``, on every process."""
        if self.world == 1:
            return value
        tensor = torch.tensor([value], device=self.device)
        torch.distributed.broadcast(tensor, 0)
        return int(tensor.item())


@contextlib.contextmanager
def process_group(rank: int, world: int, gpus: bool, meeting: str) -> Iterator[DistributedContext]:
    """Process ``rank`` of ``world`` as it computes; ``meeting`` is a file that they find each other by."""
    device = torch.device("cuda", rank) if gpus else torch.device("cpu")
    if gpus:
        torch.cuda.set_device(device)
    if world == 1:
        yield DistributedContext(device)
        return
    backend = "nccl" if gpus else "gloo"
    torch.distributed.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=world)
    try:
        yield DistributedContext(device, rank, world)
    finally:
        torch.distributed.destroy_process_group()
