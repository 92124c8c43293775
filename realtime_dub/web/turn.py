"""Passes for a TURN relay that run out: what coturn calls its REST API (``use-auth-secret``).

The relay and we share a secret that no visitor sees. A user name is the second at which it stops opening anything, and
a part of chance; its password is their HMAC-SHA1. So a pass that gets about is worth nothing the next day. Described in
draft-uberti-behave-turn-rest-00.
"""

from __future__ import annotations

import base64
import hmac
import secrets

LASTS_S = 24 * 3600  # longer than anybody is connected: coturn looks at it again with each allocation


def turn_pass(secret: str, now_s: float, who: str = "", lasts_s: float = LASTS_S) -> tuple[str, str]:
    """A user name and its password, good until ``now_s + lasts_s`` (seconds since 1970)."""
    name = f"{int(now_s + lasts_s)}:{who or secrets.token_hex(6)}"
    return name, password_of(secret, name)


def password_of(secret: str, name: str) -> str:
    """As the relay reckons it."""
    return base64.b64encode(hmac.digest(secret.encode(), name.encode(), "sha1")).decode()
