"""What the engines share: data sets, losses, the training loop, metrics."""

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
