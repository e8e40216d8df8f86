"""scikit-learn's handwritten digits, enlarged to the size of MNIST's. They need no download."""

import numpy as np

from optbench.data.dataset import Examples, Facts

TRAIN = 1500  # of 1,797; the remaining digits were written by other people and are the test images


def training_set() -> tuple[Examples, Facts]:
    """The 1,500 training images, and their facts."""
    found = _digits(slice(None, TRAIN))
    return found, Facts(shape=(28, 28), classes=tuple("0123456789"), examples=len(found))


def test_set() -> Examples:
    """The 297 test images."""
    return _digits(slice(TRAIN, None))


def _digits(part: slice) -> Examples:
    """Examples of 28x28: every pixel of the original 8x8 becomes 3x3, with a frame of two black pixels around all."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.kron(bunch.images[part] / 16 * 255, np.ones((1, 3, 3))).round().astype(np.uint8)
    framed = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))
    return Examples(framed.reshape(-1, 784), bunch.target[part].astype(np.int32))
