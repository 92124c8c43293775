"""Convolutions over time, written as products: the same numbers, for any width, dilation and length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from engines.common.bundle_files import as_products, shorten, write_graph  # noqa: E402
from export.graph import widened  # noqa: E402
from realtime_dub.inference.backends.ort import OnnxSession  # noqa: E402

pytestmark = pytest.mark.computes


def layers() -> torch.nn.Module:
    """Taps beside each other and apart, one tap, and what stays: one that is padded, and one in two groups."""
    torch.manual_seed(0)
    conv = torch.nn.Conv1d
    net = torch.nn.Sequential(
        conv(40, 32, 5), conv(32, 32, 3, dilation=4), conv(32, 32, 1, bias=False), torch.nn.Tanh(),
        conv(32, 32, 3, padding=1), conv(32, 8, 3, groups=2), conv(8, 4, 2, dilation=3),
    )  # fmt: skip
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(weights.half())
    return net


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def test_products_give_what_convolutions_gave(tmp_path: Path) -> None:
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    write_graph(layers(), before, {"x": torch.zeros(2, 40, 30)}, ["y"])
    shorten(before)
    after.write_bytes(before.read_bytes())
    as_products(after)
    assert (kinds(before).count("Conv"), kinds(after).count("Conv"), kinds(after).count("MatMul")) == (6, 2, 4)
    assert after.stat().st_size < 1.3 * before.stat().st_size  # the weights are those that were, in 16 bits
    x = np.random.default_rng(0).standard_normal((2, 40, 30)).astype(np.float32)
    told, found = (OnnxSession(path.read_bytes()).run({"x": x})["y"] for path in (before, after))
    assert np.abs(told - found).max() < 1e-5
    whole = widened(onnx.load(str(after)))
    assert not {"Cast", "Reshape"} & {node.op_type for node in whole.graph.node}
    wide = OnnxSession(whole.SerializeToString()).run({"x": x})["y"]
    assert np.abs(told - wide).max() < 1e-5
