"""Checkpoints of PyTorch, read without PyTorch: tensors and plain containers are taken, nothing is ever called or made.

A ``.pt`` or ``.pth`` file holds a pickle, which is a program: whoever unpickles it does what its writer wanted. Here it
is a list of instructions for a small machine (``machine``) that knows containers, numbers, texts and where tensors lie
(``containers``). Every name that it meets stands in a table (``names``), or is refused, by that name.
"""

from __future__ import annotations

from engines.common.checkpoint.reader import Checkpoint, StoredTensor, open_checkpoint

__all__ = ["Checkpoint", "StoredTensor", "open_checkpoint"]
