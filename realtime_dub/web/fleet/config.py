"""What a fleet is to be: one frozen model, the same for all of its actors."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from realtime_dub import __version__
from realtime_dub.errors import ConfigError
from realtime_dub.web.config import ServeConfig

MOST_WORKERS = 512  # a name tells its worker by three digits


class FleetConfig(BaseModel):
    """``serve`` is for each worker: ``max_sessions`` and the like are a worker's, and so is its range of UDP ports."""

    model_config = ConfigDict(frozen=True)

    serve: ServeConfig
    secret: str = Field(min_length=16)  # what gateways open workers with
    folder: Path  # that all nodes see: uploads, recordings, avatars
    workers: int = Field(2, ge=1, le=MOST_WORKERS)
    gateways: int = Field(1, ge=1, le=64)
    cpus_per_worker: float = Field(1.0, gt=0, le=256)
    gpus_per_worker: float = Field(0.0, ge=0, le=8)
    worker_ports: str = "7400-7499"  # TCP, for gateways alone
    public_ips: tuple[str, ...] = ()  # NODE=PUBLIC: under which address the world sees a node
    redis: str | None = None
    version: str = __version__  # of who called ``fleet up``

    @field_validator("worker_ports")
    @classmethod
    def _a_range(cls, value: str) -> str:
        low, _, high = value.partition("-")
        if not (low.isdecimal() and high.isdecimal() and 1024 <= int(low) <= int(high) <= 65_535):
            raise ValueError("write it as LOW-HIGH, both from 1024 to 65535")
        return value

    @field_validator("public_ips")
    @classmethod
    def _pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            node, equals, public = each.partition("=")
            if not equals or not re.fullmatch(r"[\w.:-]+", node):
                raise ValueError("write it as NODE=PUBLIC, both addresses: 10.0.0.5=203.0.113.7")
            IPv4Address(public)
        return value

    @model_validator(mode="after")
    def _fits(self) -> FleetConfig:
        if self.serve.port == 0 and self.gateways > 1:
            raise ValueError("several gateways need a port: the same on each node")
        return self

    def check_version(self) -> None:
        """On a node: raises ConfigError where another version lies there, which would understand half of this."""
        if self.version != __version__:
            what = f"realtime-dub {__version__} is on this node, the fleet is of {self.version}"
            raise ConfigError("cannot work in this fleet:", what, "install one version on all nodes")

    @property
    def ports(self) -> range:
        low, _, high = self.worker_ports.partition("-")
        return range(int(low), int(high) + 1)

    def at(self, node: str) -> ServeConfig:
        """What a worker on the node of that address is to be. Door, token and certificate are a gateway's."""
        public = dict(each.split("=", 1) for each in self.public_ips).get(node)
        changes: dict[str, object] = {"token": None, "tls_cert": None, "tls_key": None, "self_signed": False}
        if public is not None:
            changes["public_ip"] = IPv4Address(public)
        return self.serve.model_copy(update=changes)
