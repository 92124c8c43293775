"""The machine that reads a pickle's instructions. It has no instruction that calls, imports or makes anything.

Every instruction of pickle is in the table, or the file is refused; how many there may be, has a bound. A value that is
used many times is one value: what is small in the file stays small here.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from engines.common.checkpoint.names import admitted, called
from engines.common.checkpoint.values import Name, Record, Refused

MOST_INSTRUCTIONS = 500_000
MOST_KEY = 1 << 60  # of a whole number: greater ones may share a hash, and make a dictionary slow
MOST_PLACES = 1 << 32
_MARK = object()
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Machine:
    """Reads one pickle from a stream. ``stored``: what a persistent id stands for; ``classes``: see ``admitted``."""

    def __init__(self, stream: BytesIO, stored: Callable[[Any], Any], classes: bool) -> None:
        self._stream, self._stored, self._classes = stream, stored, classes
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], object]] = {
            "BINPERSID": lambda _: self._push(self._stored(self._pop())),
            "GLOBAL": lambda text: self._push(self._name(*text.split(" ", 1))),
            "STACK_GLOBAL": lambda _: self._push(self._name(*self._popped(2))),
            "REDUCE": lambda _: self._push(called(*self._popped(2))),
            "NEWOBJ": lambda _: self._push(_record(*self._popped(2))),
            "BUILD": lambda _: self._build(self._pop()),
            "MARK": lambda _: self._push(_MARK),
            "POP": lambda _: self._drop(),
            "POP_MARK": lambda _: self._to_mark(),
            "DUP": lambda _: self._push(self._top()),
            "TUPLE": lambda _: self._push(tuple(self._to_mark())),
            "LIST": lambda _: self._push(self._to_mark()),
            "FROZENSET": lambda _: self._push(self._to_mark()),
            "DICT": lambda _: self._push(_filled({}, self._to_mark())),
            "APPEND": lambda _: self._extend([self._pop()]),
            "APPENDS": lambda _: self._extend(self._to_mark()),
            "ADDITEMS": lambda _: self._extend(self._to_mark()),
            "SETITEM": lambda _: self._set(self._popped(2)),
            "SETITEMS": lambda _: self._set(self._to_mark()),
            "MEMOIZE": lambda _: self._keep(len(self._memo)),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._keep),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), self._get),
            **dict.fromkeys(("PROTO", "FRAME"), lambda _: None),
        }

    def run(self) -> Any:
        """What the pickle describes; the stream stands behind it then. Raises Refused."""
        for count, (name, argument) in enumerate(self._instructions()):
            if count >= MOST_INSTRUCTIONS:
                raise Refused(f"has more than {MOST_INSTRUCTIONS} instructions")
            if name == "STOP":
                return self._pop()
            self._step(name, argument)
        raise Refused("ends in the middle")

    def _instructions(self) -> Iterator[tuple[str, Any]]:
        try:
            for instruction, argument, _ in pickletools.genops(self._stream):
                yield instruction.name, argument
        except (ValueError, OverflowError, IndexError, EOFError):  # what pickletools has for bytes that are none
            raise Refused("is no pickle, or is damaged") from None

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._push(argument)
        elif name in _CONSTANTS:
            self._push(_CONSTANTS[name]())
        elif name in _TUPLES:
            self._push(tuple(self._popped(_TUPLES[name])))
        elif name in self._steps:
            self._steps[name](argument)
        else:
            raise Refused(f"has the instruction {name}, which no checkpoint needs")

    def _name(self, module: Any, attribute: Any = None) -> Name:
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise Refused("names what has no name")
        return admitted(Name(module, attribute), self._classes)

    # The stack.

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise Refused("is damaged: it takes what is not there")
        return self._stack[-1]

    def _pop(self) -> Any:
        found = self._top()
        self._stack.pop()
        return found

    def _drop(self) -> None:
        if not self._stack:
            raise Refused("is damaged: it takes what is not there")
        self._stack.pop()

    def _popped(self, count: int) -> list[Any]:
        """In the order in which they were pushed."""
        return [self._pop() for _ in range(count)][::-1]

    def _to_mark(self) -> list[Any]:
        found: list[Any] = []
        while self._stack:
            value = self._stack.pop()
            if value is _MARK:
                return found[::-1]
            found.append(value)
        raise Refused("is damaged: it takes what is not there")

    def _keep(self, place: int) -> None:
        if not 0 <= place < MOST_PLACES:
            raise Refused("is damaged: it keeps what has no place")
        self._memo[place] = self._top()

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise Refused("is damaged: it takes what is not there")
        self._push(self._memo[place])

    # Containers.

    def _extend(self, values: list[Any]) -> None:
        if isinstance(container := self._top(), list):
            container.extend(values)
        elif not isinstance(container, Record):
            raise Refused("fills a list that is none")

    def _set(self, values: list[Any]) -> None:
        if isinstance(container := self._top(), dict):
            _filled(container, values)
        elif not isinstance(container, Record):
            raise Refused("fills a dictionary that is none")

    def _build(self, state: Any) -> None:
        """Attributes of a record. Those that other things are given, such as hooks of a tensor, are left out."""
        if isinstance(target := self._top(), Record):
            target.state = state


def _record(of: Any, arguments: Any) -> Record:
    if not isinstance(of, Name) or arguments != ():
        raise Refused(f"makes {of.shown if isinstance(of, Name) else 'something'} of arguments")
    return Record(of)


def _filled(container: dict[Any, Any], values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise Refused("has a key without a value")
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not (isinstance(key, str) or (isinstance(key, int) and abs(key) < MOST_KEY)):
            raise Refused("has a key that is neither text nor a number")
        container[key] = value
    return container
