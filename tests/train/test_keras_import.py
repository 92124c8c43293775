"""LipGAN's published weights: the file as Keras writes it, every kind of layer, and files that are meant to do harm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

from engines.lipgan.keras_import import generator_of, import_weights, numbered, read_weights  # noqa: E402
from engines.lipgan.network import Generator, Shape  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError  # noqa: E402
from realtime_dub.inference.backends.ort import OnnxSession  # noqa: E402

Weights = dict[str, np.ndarray]
WIDTHS = (4, 4, 6, 6, 8)
SMALL = {kind: Shape(kind, WIDTHS) for kind in ("residual", "basic")}  # type: ignore[arg-type]


class Keras:
    """Reference arithmetic, in Keras' own order of axes (rows, columns, channels), with weights that it makes up."""

    def __init__(self, seed: int = 0) -> None:
        self.weights: Weights = {}
        self._rng = np.random.default_rng(seed)
        self._counts: dict[str, int] = {}

    def _named(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}_{self._counts[kind]}"

    def _kept(self, layer: str, part: str, values: np.ndarray) -> np.ndarray:
        self.weights[f"{layer}/{part}"] = values.astype(np.float32)
        return self.weights[f"{layer}/{part}"].astype(np.float64)

    def conv(self, x: np.ndarray, filters: int, kernel: int, strides: tuple[int, int], padding: str) -> np.ndarray:
        name, inputs = self._named("conv2d"), x.shape[2]
        scale = 1 / np.sqrt(kernel * kernel * inputs)
        weight = self._kept(name, "kernel", self._rng.normal(0, scale, (kernel, kernel, inputs, filters)))
        bias = self._kept(name, "bias", self._rng.normal(0, 0.1, filters))
        if padding == "same":
            pads = []
            for size, stride in zip(x.shape[:2], strides, strict=True):
                total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
                pads.append((total // 2, total - total // 2))
            x = np.pad(x, (*pads, (0, 0)))
        rows, columns = ((x.shape[axis] - kernel) // strides[axis] + 1 for axis in (0, 1))
        out = np.zeros((rows, columns, filters))
        for i in range(kernel):
            for j in range(kernel):
                part = x[i : i + rows * strides[0] : strides[0], j : j + columns * strides[1] : strides[1]]
                out += part[:rows, :columns] @ weight[i, j]
        return out + bias

    def conv_transposed(self, x: np.ndarray, filters: int, stride: int) -> np.ndarray:
        """3×3, ``same``: what a convolution of that stride would take back, cut to ``stride`` times the size."""
        name, inputs = self._named("conv2d_transpose"), x.shape[2]
        scale = stride / np.sqrt(9 * inputs)
        weight = self._kept(name, "kernel", self._rng.normal(0, scale, (3, 3, filters, inputs)))
        bias = self._kept(name, "bias", self._rng.normal(0, 0.1, filters))
        rows, columns = x.shape[:2]
        out = np.zeros((rows * stride + 3, columns * stride + 3, filters))
        for i in range(3):
            for j in range(3):
                out[i : i + rows * stride : stride, j : j + columns * stride : stride] += x @ weight[i, j].T
        return out[: rows * stride, : columns * stride] + bias

    def normed(self, x: np.ndarray) -> np.ndarray:
        """Batch norm as it is used, and ReLU."""
        name, width = self._named("batch_normalization"), x.shape[2]
        gamma, beta, mean, variance = (
            self._kept(name, part, self._rng.uniform(low, high, width))
            for part, low, high in (
                ("gamma", 0.5, 1.5),
                ("beta", -0.2, 0.2),
                ("moving_mean", -0.2, 0.2),
                ("moving_variance", 0.5, 1.5),
            )
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)

    def block(
        self, x: np.ndarray, filters: int, kernel: int = 3, strides: tuple[int, int] = (1, 1), padding: str = "same"
    ) -> np.ndarray:
        return self.normed(self.conv(x, filters, kernel, strides, padding))

    def up(self, x: np.ndarray, filters: int, stride: int = 2) -> np.ndarray:
        return self.normed(self.conv_transposed(x, filters, stride))

    def residual(self, x: np.ndarray, count: int) -> np.ndarray:
        for _ in range(count):
            x = np.maximum(self.block(self.block(x, x.shape[2]), x.shape[2]) + x, 0)
        return x

    def generator(self, kind: str, faces: np.ndarray, mel: np.ndarray) -> np.ndarray:
        """The whole graph, written as the published one is: ``faces`` (96, 96, 6), ``mel`` (80, 27, 1)."""
        residual, (a, b, c, d, e) = kind == "residual", WIDTHS
        maps = [self.block(faces, a, 7 if residual else 11)]
        kernels = (5, 3, 3, 3, 3) if residual else (7, 5, 3, 3, 3)
        for width, kernel, count in zip((b, c, d, e, e), kernels, (2, 3, 2, 2, 0), strict=True):
            x = self.block(maps[-1], width, kernel, (2, 2))
            maps.append(self.residual(x, count) if residual else x)
        seen = self.block(self.block(maps[-1], e, padding="valid"), e if residual else e // 2, 1)
        x = mel
        for width, stride in ((a, (1, 1)), (b, (3, 3)), (c, (3, 1)), (d, (3, 3))):
            x = self.block(x, width, 3, stride)
            x = self.residual(x, 2) if residual else self.block(self.block(x, width), width)
        heard = self.block(self.block(x, e, padding="valid"), e, 1)
        x = np.concatenate([seen, heard], 2)
        if not residual:  # a layer that leads nowhere: its number is taken, and no weights are written
            for name in ("conv2d", "batch_normalization"):
                self._named(name)
        for stage, (width, there) in enumerate(zip((e, e, d, c, b, a), reversed(maps), strict=True)):
            x = self.up(x, width, 2 if stage else 3)
            x = self.residual(x, 2) if residual and 0 < stage < 5 else x
            x = np.concatenate([there, x], 2)
        x = self.block(self.block(x, a // 2), a // 2)
        return 1 / (1 + np.exp(-self.conv(x, 3, 1, (1, 1), "same")))


def write_file(path: Path, weights: Weights, whole: bool = True) -> Path:
    """The file as Keras 2.2 writes it: layers without weights stand between the others."""
    order = sorted({name.partition("/")[0] for name in weights}, key=lambda name: name[::-1])
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole else file
        if whole:
            file.attrs["model_config"] = json.dumps({"class_name": "Model"}).encode()
            file.create_group("optimizer_weights").create_dataset("Adam/iterations:0", data=np.int64(3))
        root.attrs["layer_names"] = np.array(
            [each.encode() for each in ("input_face", *order, "activation_7", "add_1")]
        )
        root.attrs["keras_version"] = b"2.2.4"
        for layer in ("input_face", "activation_7", "add_1"):
            root.create_group(layer).attrs["weight_names"] = np.zeros(0, "S1")
        for layer in order:
            own = {name: values for name, values in weights.items() if name.startswith(f"{layer}/")}
            group = root.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{name}:0".encode() for name in own])
            for name, values in own.items():
                group.create_dataset(f"{name}:0", data=values)
    return path


@pytest.mark.parametrize("kind", ["residual", "basic"])
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_imported_computes_what_keras_would(kind: str, whole: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    reference, face = rng.random((2, 96, 96, 3))
    mel = rng.normal(0, 2, (27, 80))
    hidden = face.copy()
    hidden[48:] = 0
    keras = Keras()
    expected = keras.generator(kind, np.concatenate([reference, hidden], 2), mel.T[..., None])
    weights = read_weights(write_file(tmp_path / "w.h5", keras.weights, whole))
    net = generator_of("w.h5", weights, tuple(SMALL.values()))
    assert net.shape.kind == kind
    feeds = (
        torch.from_numpy(each.astype(np.float32))[None]
        for each in (mel, *(f.transpose(2, 0, 1) for f in (face, reference)))
    )
    with torch.inference_mode():
        found = net(*feeds)[0].numpy().transpose(1, 2, 0)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def published(shape: Shape) -> Weights:
    """Weights of a generator, as Keras has them."""
    found: Weights = {}
    numbers: dict[str, int] = {}
    net = Generator(shape)
    for module in net.modules():
        kind = {"Conv2d": "conv2d", "ConvTranspose2d": "conv2d_transpose", "BatchNorm2d": "batch_normalization"}.get(
            type(module).__name__
        )
        if kind is None:
            continue
        numbers[kind] = numbers.get(kind, 0) + 1
        layer = f"{kind}_{numbers[kind]}"
        if kind == "batch_normalization":
            parts = {
                "gamma": module.weight,
                "beta": module.bias,
                "moving_mean": module.running_mean,
                "moving_variance": module.running_var,
            }
        else:
            parts = {"kernel": module.weight.permute(2, 3, 1, 0), "bias": module.bias}
        found |= {f"{layer}/{part}": values.detach().numpy() for part, values in parts.items()}
    return found


@pytest.mark.slow
def test_a_file_of_the_published_size_becomes_a_bundle(tmp_path: Path) -> None:
    path = write_file(tmp_path / "lipgan_basic.h5", published(Shape("basic")))
    import_weights(path, tmp_path / "bundle")
    spec = json.loads((tmp_path / "bundle" / "spec.json").read_text())
    assert (spec["task"], spec["engine"], spec["name"]) == ("crop", "lipgan", "lipgan-basic")
    assert spec["licence"].startswith("non-commercial")
    rng = np.random.default_rng(2)
    feeds = {name: rng.random((1, 3, 96, 96), np.float32) for name in ("face", "reference")}
    feeds["mel"] = rng.normal(0, 2, (1, 27, 80)).astype(np.float32)
    found = OnnxSession((tmp_path / "bundle" / spec["model"]).read_bytes()).run(feeds)["painted"]
    net = generator_of("w.h5", read_weights(path))
    with torch.inference_mode():
        expected = net(*(torch.from_numpy(feeds[name]) for name in ("mel", "face", "reference"))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (tmp_path / "bundle" / "notes.txt").touch()
    with pytest.raises(ConfigError, match="there is something else"):
        import_weights(path, tmp_path / "bundle")


def test_layers_are_numbered_not_spelt() -> None:
    weights = {f"{name}/kernel": np.zeros(1) for name in ("conv2d_10", "conv2d", "conv2d_9", "conv2d_transpose_1")}
    assert numbered(weights, "conv2d") == ["conv2d", "conv2d_9", "conv2d_10"]


@pytest.fixture(scope="module")
def small() -> Weights:
    return published(SMALL["basic"])


def edited(path: Path, weights: Weights, layer: str = "conv2d_2") -> tuple[object, object]:
    """A good file, open, and the group of one of its layers."""
    file = h5py.File(write_file(path, weights), "r+")
    return file, file[f"model_weights/{layer}/{layer}"]


def test_a_file_of_another_net_says_what_is_wrong(small: Weights, tmp_path: Path) -> None:
    shapes = tuple(SMALL.values())
    with pytest.raises(BundleError, match="as residual: 24 layers of kind conv2d, not 67"):
        generator_of("w.h5", {name: each for name, each in small.items() if not name.startswith("conv2d_3/")}, shapes)
    wrong = small | {"conv2d_2/kernel": small["conv2d_2/kernel"].transpose(1, 0, 3, 2)[:5]}
    with pytest.raises(BundleError, match=r"as basic: conv2d_2 has weight \(4, 4, 5, 7\), not \(4, 4, 7, 7\)"):
        generator_of("w.h5", wrong, shapes)
    with pytest.raises(BundleError, match="as basic: batch_normalization_3 has no moving_mean"):
        generator_of("w.h5", {n: v for n, v in small.items() if n != "batch_normalization_3/moving_mean"}, shapes)


def damage(path: Path, weights: Weights, kind: str) -> None:
    """A file that is meant to do harm, or is none."""
    if kind in ("text", "empty"):
        path.write_text("no weights at all" if kind == "text" else "")
        return
    if kind == "cut":
        content = write_file(path, weights).read_bytes()
        path.write_bytes(content[: len(content) // 2])
        return
    file, layer = edited(path, weights)
    with file:  # type: ignore[attr-defined]
        if kind == "list":
            file["model_weights"].attrs["layer_names"] = np.zeros(5_000, "S4")  # type: ignore[index]
            return
        del layer["kernel:0"]  # type: ignore[attr-defined]
        shape = weights["conv2d_2/kernel"].shape
        if kind == "huge":
            layer.create_dataset("kernel:0", (7, 7, 40_000, 40_000), np.float32)  # type: ignore[attr-defined]
        elif kind == "bomb":
            layer.create_dataset("kernel:0", shape, np.float32, compression="gzip")  # type: ignore[attr-defined]
        elif kind == "elsewhere":
            size = int(np.prod(shape)) * 4
            layer.create_dataset("kernel:0", shape, np.float32, external=[("/etc/passwd", 0, size)])  # type: ignore[attr-defined]
        elif kind == "link out":
            layer["kernel:0"] = h5py.ExternalLink("other.h5", "/x")  # type: ignore[index]
        elif kind == "soft link":
            layer["kernel:0"] = h5py.SoftLink("/model_weights/conv2d_3/conv2d_3/kernel:0")  # type: ignore[index]
        elif kind == "virtual":
            made = h5py.VirtualLayout(shape, np.float32)
            made[...] = h5py.VirtualSource("other.h5", "x", shape)
            layer.create_virtual_dataset("kernel:0", made)  # type: ignore[attr-defined]
        elif kind == "nan":
            layer.create_dataset("kernel:0", data=np.full(shape, np.nan, np.float32))  # type: ignore[attr-defined]
        elif kind == "words":
            layer.create_dataset("kernel:0", data=np.full(shape, b"abc"))  # type: ignore[attr-defined]
        else:
            layer.create_group("kernel:0")  # type: ignore[attr-defined]


HARM = {
    "text": "not a whole HDF5 file",
    "empty": "not a whole HDF5 file",
    "cut": "not a whole HDF5 file",
    "list": "layer_names is no list of names",
    "huge": "has 78400000000 values",
    "bomb": "is not kept as Keras does it",
    "elsewhere": "is not kept as Keras does it",
    "link out": "there is no conv2d_2/kernel:0",
    "soft link": "there is no conv2d_2/kernel:0",
    "virtual": "is not kept as Keras does it",
    "nan": "has values that are no numbers",
    "words": "holds no numbers",
    "a group": "holds no numbers",
}


@pytest.mark.parametrize("kind", HARM)
def test_a_file_that_is_meant_to_do_harm_is_one_line(kind: str, small: Weights, tmp_path: Path) -> None:
    from engines.lipgan import keras_file

    path = tmp_path / "w.h5"
    damage(path, small, kind)
    try:
        dict(keras_file.tensors(path))
    except keras_file.Refusal as error:
        said = str(error)
    except (OSError, RuntimeError, ValueError, KeyError):
        said = "not a whole HDF5 file"
    assert HARM[kind] in said


def test_the_process_that_reads_says_it_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    path.write_text("no weights at all")
    with pytest.raises(
        BundleError, match=r"cannot use weights .*w.h5: not a whole HDF5 file .*; fetch the file again"
    ) as told:
        import_weights(path, tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(BundleError, match="there is no such file"):
        read_weights(tmp_path / "none.h5")
