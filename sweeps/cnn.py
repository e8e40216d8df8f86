"""A LeNet-sized convolutional network, the example of a model of one's own (see `optbench docs models`)."""

import keras


def cnn(shape: tuple[int, ...], classes: int, filters: int = 16, units: int = 64, dropout: float = 0.3) -> keras.Model:
    """An uncompiled model from images of this shape to logits [n, classes]."""
    channels = shape if len(shape) == 3 else (*shape, 1)
    return keras.Sequential(
        [
            keras.layers.Input(shape),
            keras.layers.Reshape(channels),
            keras.layers.Conv2D(filters, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(2 * filters, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(classes),
        ]
    )
