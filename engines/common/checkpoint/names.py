"""Which names a checkpoint may hold, and what stands for a call of each. All others are refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from engines.common.checkpoint.values import Name, Record, Refused, Storage, Tensor

MOST_AXES = 8
ITEM_BYTES = {
    **dict.fromkeys(("float64", "int64"), 8),
    **dict.fromkeys(("float32", "int32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16"), 2),
    **dict.fromkeys(("int8", "uint8", "bool"), 1),
}
_STORED = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
}
STORAGES = {f"{home}.{kind}Storage": dtype for kind, dtype in _STORED.items() for home in ("torch", "torch.cuda")}
# Numbers' types, and numpy's figures such as a best loss: nothing is taken of them.
_INERT = {
    *(f"torch.{dtype}" for dtype in (*ITEM_BYTES, "complex64", "complex128", "uint16", "uint32", "uint64")),
    *(f"numpy.{home}.multiarray.{call}" for home in ("core", "_core") for call in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray"),
}


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage) or not _is_size(offset):
        raise Refused("describes a tensor without a storage")
    for sizes in (shape, strides):
        if not isinstance(sizes, tuple) or len(sizes) > MOST_AXES or not all(map(_is_size, sizes)):
            raise Refused("describes a tensor with sizes that are none")
    if len(shape) != len(strides):
        raise Refused("describes a tensor with more sizes than strides, or fewer")
    return Tensor(storage, offset, shape, strides)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


def _ordered(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if arguments:
        raise Refused("fills a dictionary in a way that is not known")
    return {}


def _parameter(arguments: tuple[Any, ...]) -> Any:
    return arguments[0]


def _nothing(arguments: tuple[Any, ...]) -> None:
    return None


# A call of one of these is replaced by this.
CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": lambda arguments: arguments[0] if arguments else (),
    "torch.device": _nothing,
    "torch.nn.backends.thnn._get_thnn_function_backend": _nothing,
    **dict.fromkeys(("builtins.set", "__builtin__.set", "_codecs.encode"), _nothing),
}
_STANDARD = frozenset({*sys.stdlib_module_names, "__builtin__", "copy_reg", "commands", "nt", "posix"})


def admitted(name: Name, classes: bool) -> Name:
    """``name``, if a file may hold it. Raises Refused.

    ``classes``: a whole network was saved, whose classes are anybody's. None of Python's own library is one.
    """
    text = str(name)
    if text in CALLS or text in STORAGES or text in _INERT:
        return name
    if not classes or name.module.partition(".")[0] in _STANDARD:
        raise Refused(f"asks for {name.shown}")
    return name


def called(name: Any, arguments: Any) -> Any:
    """What stands for the call. Raises Refused."""
    if not isinstance(name, Name) or not isinstance(arguments, tuple):
        raise Refused("calls what has no name")
    text = str(name)
    if text in _INERT:
        return Record(name)
    if text not in CALLS:
        raise Refused(f"calls {name.shown}")
    try:
        return CALLS[text](arguments)
    except (IndexError, ValueError):
        raise Refused(f"calls {text} with too little") from None
