"""mouthbank's nets as stages of ``train-engine``: what ships, and the nets that it is compared with."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from engines.common.engine import Stage, borrowed
from engines.mouthbank import compare, direct, ensemble, voice
from engines.mouthbank.from_bundle import whole_net
from engines.mouthbank.inside import stage as inside
from engines.mouthbank.occlusion import stage as occlusion

STAGES = {
    "speech": borrowed("speech"),
    "direct": Stage(direct.Settings, direct.DirectEngine, filmed=True),
    "teacher": Stage(voice.TeacherSettings, voice.TeacherEngine, needs=("direct",), filmed=True),
    "voice": Stage(
        voice.VoiceSettings, voice.VoiceEngine, needs=("speech", "direct", "teacher"), filmed=True, spoken=True
    ),
    "ensemble": Stage(ensemble.Settings, ensemble.Ensemble, needs=("direct", "voice")),
    "occlusion": Stage(occlusion.Settings, occlusion.OcclusionEngine, filmed=True, extra=True),
    "inside": Stage(inside.Settings, inside.InsideEngine, filmed=True, extra=True),
    **{
        f"compare-{kind}": Stage(compare.Settings, compare.maker(kind), needs=("direct",), filmed=True, extra=True)
        for kind in compare.KINDS
    },
}


def trained(folder: Path) -> nn.Module | None:
    """The net inside the bundle ``folder``, to compare what was exported with; None where it cannot be taken out."""
    return whole_net(folder)
