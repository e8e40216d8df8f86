"""Seconds per trial-epoch on data of full size (60,000 images, 784-128-10, batch 128), by each way of training.

Each way runs in a process of its own, in turn, several times. The median counts, and min-max shows the noise. --hidden
compares one lane per core, without and with a dropout of 0.2, with tuned Keras on a network of other hidden layers.

    python -m tests.benchmarks.training [--repeat N] [--rounds N] [--hidden UNITS,UNITS]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

WAYS = ["article", "keras", *(f"lanes-{n}" for n in (1, 2, 4, 16)), "floor"]
OTHER_WAYS = ["keras", f"lanes-{os.cpu_count()}", f"dropout-{os.cpu_count()}"]
IMAGES, BATCH, GFLOP = 60_000, 128, 24.5
HIDDEN = (128,)
HPARAMS = {"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6}


def images():
    """Random images of MNIST's size, because the time does not depend on what they show."""
    import numpy as np

    from optbench.data import Examples

    rng = np.random.default_rng(0)
    return Examples(rng.integers(0, 256, (IMAGES, 784), np.uint8), rng.integers(0, 10, IMAGES).astype(np.int32))


def keras_model(hidden=HIDDEN, **compile_arguments):
    import keras

    layers = [keras.layers.Input((28, 28)), keras.layers.Flatten()]
    layers += [keras.layers.Dense(units, activation="relu") for units in hidden]
    model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
    optimizer = keras.optimizers.Adadelta(**HPARAMS)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **compile_arguments)
    return model


def article(rounds):
    """The published tutorial's pipeline and `fit`: cache, repeat, shuffle, batch."""
    import tensorflow as tf

    data, model = images(), keras_model()
    pixels = data.inputs.reshape(-1, 28, 28)
    pipeline = tf.data.Dataset.from_tensor_slices((pixels, data.labels))
    pipeline = (
        pipeline.map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, y)).cache().repeat().shuffle(IMAGES).batch(BATCH)
    )
    steps = -(-IMAGES // BATCH)
    return timed(lambda: model.fit(pipeline, steps_per_epoch=steps, verbose=0), rounds)


def keras(rounds, hidden=HIDDEN):
    """Keras as fast as it goes without leaving `fit`: arrays in memory, XLA, 67 steps a call."""
    data, model = images(), keras_model(hidden, jit_compile=True, steps_per_execution=67)
    pixels = data.inputs.reshape(-1, 28, 28).astype("float32") / 255
    return timed(lambda: model.fit(pixels, data.labels, batch_size=BATCH, verbose=0), rounds)


def lanes(rounds, n, hidden=HIDDEN, dropout=0.0):
    """Our lanes, all assigned."""
    from optbench.data import Split
    from optbench.data.dataset import facts_of_earlier
    from optbench.training.contract import Job
    from optbench.training.tensorflow.build import configure
    from optbench.training.tensorflow.lanes import Lanes
    from optbench.training.tensorflow.mlp import Mlp

    configure("lanes")
    network, split = Mlp(784, 10, hidden, dropout=dropout), Split(images(), None, {}, facts_of_earlier("mnist"))
    trainer = Lanes(n, "adadelta", network, BATCH, split, given=())
    for lane in range(n):
        job = Job(number=lane, optimizer="adadelta", hparams=HPARAMS, seed=lane, epochs=rounds + 1)
        trainer.assign(lane, job)
    return [seconds / n for seconds in timed(trainer.train, rounds)]


def floor(rounds):
    """The arithmetic alone, at the rate of this machine's matrix product."""
    import tensorflow as tf

    a = tf.random.normal((2048, 2048))
    rates = [
        20 * 2 * 2048**3 / seconds for seconds in timed(lambda: [tf.matmul(a, a).numpy() for _ in range(20)], rounds)
    ]
    return [GFLOP * 1e9 / rate for rate in rates]


def timed(work, rounds):
    """The seconds of each round after a first one that compiles."""
    work()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return found


def measure(way, rounds, hidden):
    name, _, n = way.partition("-")
    if n:
        seconds = lanes(rounds, int(n), hidden, 0.2 if name == "dropout" else 0.0)
    else:
        seconds = keras(rounds, hidden) if name == "keras" else globals()[name](rounds)
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def units(text):
    return tuple(int(part) for part in text.split(","))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="how often to go through all ways")
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs each time")
    parser.add_argument("--hidden", type=units, help="units of each hidden layer, for example 500,300")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given.rounds, given.hidden or HIDDEN)))
        return
    ways = WAYS if given.hidden is None else OTHER_WAYS
    found = {way: [] for way in ways}
    memory = dict.fromkeys(ways, 0.0)
    command = [sys.executable, "-m", "tests.benchmarks.training", "--rounds", str(given.rounds)]
    command += ["--hidden", ",".join(map(str, given.hidden or HIDDEN)), "--only"]
    for _ in range(given.repeat):
        for way in ways:
            env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
            done = subprocess.run([*command, way], capture_output=True, text=True, check=True, env=env)
            result = json.loads(done.stdout.splitlines()[-1])
            found[way] += result["seconds"]
            memory[way] = max(memory[way], result["megabytes"])
    medians = {way: statistics.median(seconds) for way, seconds in found.items()}
    print("| how | s per trial-epoch | min-max | times as fast as the article | as tuned Keras | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for way in ways:
        median = medians[way]
        ratios = " | ".join(
            f"{medians[other] / median:.2f}" if other in ways else "-" for other in ("article", "keras")
        )
        spread = f"{min(found[way]):.3f}-{max(found[way]):.3f}"
        print(f"| {way} | {median:.3f} | {spread} | {ratios} | {memory[way]:.0f} |")


if __name__ == "__main__":
    main()
