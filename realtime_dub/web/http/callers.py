"""Who asks, and how much of something each may have."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from realtime_dub.web import limits
from realtime_dub.web.rates import TokenBucket


class CallerRates:
    """A bucket for each caller, of whom the latest are remembered."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._callers: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, caller: str, now_s: float) -> bool:
        """False where the caller has used up what it has. A refusal costs nothing: who asks on would never come in."""
        return self._bucket(caller).take(1.0, now_s)

    def spend(self, caller: str, amount: float, now_s: float) -> None:
        """What the caller has cost beside; at most as much as it may save up."""
        bucket = self._bucket(caller)
        bucket.spend(min(amount, max(0.0, bucket.left(now_s) + self._burst)))

    def _bucket(self, caller: str) -> TokenBucket:
        bucket = self._callers.pop(caller, None) or TokenBucket(self._per_s, self._burst)
        self._callers[caller] = bucket
        if len(self._callers) > limits.MOST_CALLERS:
            self._callers.popitem(last=False)
        return bucket


def caller_of(address: str | None) -> str:
    """Who counts as one: an IPv4 address; of IPv6 the first half, as everybody has the other half to choose from."""
    if address is None or ":" not in address:
        return address or ""
    try:
        numeric = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(numeric.ipv4_mapped or ipaddress.IPv6Address(int(numeric) >> 64 << 64))
