"""How much of something each caller may have: tokens that come back with time."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from realtime_dub.web import limits


class Bucket:
    """Tokens per caller, refilled with time."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now_s: float) -> bool:
        """False where the caller has used up what it has."""
        left, since_s = self._callers.pop(caller, (self._burst, now_s))
        left = min(self._burst, left + (now_s - since_s) * self._per_s)
        enough = left >= 1
        self._callers[caller] = left - enough, now_s  # nothing for a refusal: who asks on would never have one again
        if len(self._callers) > limits.MOST_CALLERS:
            self._callers.popitem(last=False)
        return enough


def caller_of(address: str | None) -> str:
    """Who counts as one: an IPv4 address; of IPv6 the first half, as everybody has the other half to choose from."""
    if address is None or ":" not in address:
        return address or ""
    try:
        numeric = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(numeric.ipv4_mapped or ipaddress.IPv6Address(int(numeric) >> 64 << 64))
