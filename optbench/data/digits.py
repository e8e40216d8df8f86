"""scikit-learn's handwritten digits, enlarged to the size of MNIST's. They need no download."""

import numpy as np

from optbench.data.dataset import Images

TRAIN = 1500  # of 1,797; the remaining digits were written by other people and are the test images


def training_images() -> Images:
    """The 1,500 training images."""
    return _digits(slice(None, TRAIN))


def test_images() -> Images:
    """The 297 test images."""
    return _digits(slice(TRAIN, None))


def _digits(part: slice) -> Images:
    """Images of 28x28: every pixel of the original 8x8 becomes 3x3, with a frame of two black pixels around all."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.kron(bunch.images[part] / 16 * 255, np.ones((1, 3, 3))).round().astype(np.uint8)
    framed = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))
    return Images(framed.reshape(-1, 784), bunch.target[part].astype(np.int32))
