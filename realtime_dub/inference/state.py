"""What a stream remembers from call to call of a network, wherever that is best kept.

A stream calls ``run`` and then ``keep``, if what came of it is good; or ``forget``. Weights are the session's, and are
shared; a state is one stream's alone. After moshi's streaming modules (kyutai-labs/moshi), whose state is outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.inference.contract import Arrays, Session
from realtime_dub.inference.spec import BundleSpec, StateSpec
from realtime_dub.inference.tensors import check_results, declared_by


class Stream(Protocol):
    """One stream through a network. Not thread-safe."""

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name for inputs by name, states apart. Nothing is remembered yet."""

    def keep(self) -> None:
        """Go on from what the last ``run`` gave."""

    def forget(self) -> None:
        """The network has heard nothing."""


@runtime_checkable
class KeepsState(Protocol):
    """A session that has states in memory of its own."""

    state_is_far: bool  # to bring it here at every call would cost more than to keep it there

    def stream(self, states: Sequence[StateSpec], batch: int = 1) -> Stream: ...


class HostStream:
    """States in the program's memory, handed in and out at every call. Its results hold them too, to be checked."""

    def __init__(self, session: Session, states: Sequence[StateSpec], batch: int = 1) -> None:
        self._session, self._states, self._batch = session, states, batch
        self._results: dict[str, npt.NDArray[Any]] = {}
        self.forget()

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        self._results = self._session.run({**self._kept, **feeds})
        return self._results

    def keep(self) -> None:
        for state in self._states:
            self._kept[state.before] = self._results[state.after]

    def forget(self) -> None:
        self._kept = {state.before: np.zeros(state.zeros_shape(self._batch), np.float32) for state in self._states}


class CheckedStream:
    """A stream that gives what its bundle's spec says, or raises BundleError, whatever the backend raises."""

    def __init__(self, session: Session, spec: BundleSpec, batch: int = 1) -> None:
        self._name, self._batch, self._expected = spec.name, batch, declared_by(spec)
        if isinstance(session, KeepsState) and session.state_is_far:
            self._stream: Stream = session.stream(spec.states, batch)
            after = {state.after for state in spec.states}
            seen = {name: shape for name, shape in self._expected.outputs.items() if name not in after}
            self._expected = self._expected._replace(outputs=seen)
        else:
            self._stream = HostStream(session, spec.states, batch)

    def run(self, feeds: Arrays, length: int) -> dict[str, npt.NDArray[Any]]:
        """As a stream's; ``length``: of the axis "time"."""
        try:
            results = self._stream.run(feeds)
        except BundleError:
            raise
        except Exception as error:  # each backend has its own tree
            what = f"{self._name}: its network is not as its spec says: {type(error).__name__}: {error}"
            raise BundleError("cannot run bundle", what, "fetch it again") from error
        check_results(self._name, self._expected, results, length, self._batch)
        return results

    def keep(self) -> None:
        self._stream.keep()

    def forget(self) -> None:
        self._stream.forget()
