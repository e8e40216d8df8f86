"""What the confidence sequence of optbench.statistics.sequential promises and costs, by simulation.

Coverage: in how many of the simulated confirmations the interval held the true mean at each of 100 looks, beside the
t-interval after 10 seeds, and the t-interval with 100 looks. Cost: after how many seeds a difference or equality within
0.1 percentage points is shown in half and in four fifths of the confirmations, looking after every seed. Beside it
stand the seeds that the fixed-n tests need to show it as often, and those of the betting sequence of Waudby-Smith and
Ramdas (2023), which only assumes that differences lie between -1 and 1.

    python -m tests.benchmarks.sequential [--repeats 4000] [--seed 0]
"""

import argparse

import numpy as np
from scipy import stats

from optbench.statistics.sequential import ALPHA, wealth

LOOKS, MARGIN, SPREAD = 100, 0.001, 0.001
COSTS = [
    (0.0, 0.0005), (0.0, 0.001), (0.0, 0.0015), (0.0005, 0.0005), (0.0005, 0.001),
    (0.001, 0.001), (0.0015, 0.001), (0.003, 0.001), (0.003, 0.0015),
]  # fmt: skip
BOUNDED = (8, 20_000)  # how often the bounded sequence is simulated, and for how many seeds at most


def distributions(chance, shape):
    """Differences of each distribution, with a mean of 0 and a spread of 0.1 percentage points."""
    skewed = {f"gamma, skewness {2 / k**0.5:.2g}": (chance.gamma(k, 1, shape) - k) / k**0.5 for k in (16, 4, 1)}
    unit = {
        "normal": chance.normal(size=shape),
        "uniform": chance.uniform(-1, 1, shape) * 3**0.5,
        "Student, 3 degrees": chance.standard_t(3, shape) / 3**0.5,
        "normal, one in 20 ten times as wide": np.where(chance.random(shape) < 0.05, 10, 1) * chance.normal(size=shape),
        "two values": chance.choice([-1.0, 1.0], shape),
        **skewed,
    }
    found = {name: SPREAD * values for name, values in unit.items()}
    one, two = chance.binomial(10_000, 0.98, (2, *shape)) / 10_000
    found["two binomials at 98 %"] = one - two
    lost = chance.random(shape) < 0.01
    found["one in 100 diverges"] = found["normal"] - 0.88 * (lost - 0.01)
    return found


def running(x):
    """The mean and the half-width of the 95 % t-interval after 2, 3, ... values: [..., n - 1] each."""
    n = np.arange(1, x.shape[-1] + 1)
    mean = x.cumsum(-1) / n
    squares = np.maximum((x**2).cumsum(-1) - n * mean**2, 0)[..., 1:]
    n = n[1:]
    return mean[..., 1:], stats.t.ppf(1 - ALPHA / 2, n - 1) * np.sqrt(squares / (n - 1) / n)


def coverage(x):
    """How often the sequence at all looks, the t-interval of 10, and the t-interval at all looks hold 0."""
    mean, half = running(x)
    held = np.abs(mean) <= half
    return (wealth(x) < 1 / ALPHA).all(-1).mean(), held[:, 8].mean(), held.all(-1).mean()


def decided(x):
    """After how many values [repeats] the sequence shows a difference or equality; infinity if it never does."""
    mean = x.cumsum(-1) / np.arange(1, x.shape[-1] + 1)
    out = wealth(x) >= 1 / ALPHA
    equal = (wealth(x - MARGIN) >= 1 / ALPHA) & (wealth(x + MARGIN) >= 1 / ALPHA) & (np.abs(mean) < MARGIN)
    return first(out | equal)


def first(shown):
    return np.where(shown.any(-1), shown.argmax(-1) + 1.0, np.inf)


def fixed(x):
    """How often [n] the fixed-n tests decide after 1, 2, ... values. Sign flips take at least 6."""
    mean, half = running(x)
    n = np.arange(2, x.shape[-1] + 1)
    narrow = half * stats.t.ppf(1 - ALPHA, n - 1) / stats.t.ppf(1 - ALPHA / 2, n - 1)
    shown = ((np.abs(mean) > half) & (n >= 6)) | (np.abs(mean) + narrow < MARGIN)
    return np.concatenate([[0.0], shown.mean(0)])


def bounded(x, mean):
    """The wealth [..., n] of the hedged bets of Waudby-Smith and Ramdas against this mean of values in -1 to 1.

    Predictable plug-in bets, which stake at most 3/4 of what the range allows.
    """
    y, m = (x + 1) / 2, (mean + 1) / 2
    t = np.arange(1, x.shape[-1] + 1)
    centre = (0.5 + y.cumsum(-1)) / (t + 1)
    variance = (0.25 + ((y - centre) ** 2).cumsum(-1)) / (t + 1)
    before = np.concatenate([np.full((*x.shape[:-1], 1), 0.25), variance[..., :-1]], axis=-1)
    stake = np.sqrt(2 * np.log(2 / ALPHA) / (before * t * np.log(t + 1)))
    up, down = np.minimum(stake, 0.75 / m), np.minimum(stake, 0.75 / (1 - m))
    gains = np.log1p(up * (y - m)).cumsum(-1), np.log1p(-down * (y - m)).cumsum(-1)
    return np.exp(np.minimum(np.maximum(*gains), 500)) / 2


def decided_bounded(x):
    """As `decided`, by the bounded sequence."""
    limit = 1 / ALPHA
    equal = (bounded(x, MARGIN) >= limit) & (bounded(x, -MARGIN) >= limit)
    return first((bounded(x, 0.0) >= limit) | equal)


def whole(seeds):
    return f"{seeds:,.0f}" if np.isfinite(seeds) else "more"


def main(repeats, seed):
    chance = np.random.default_rng(seed)
    print(f"| differences | sequence, {LOOKS} looks | t-interval, 10 seeds | t-interval, {LOOKS - 1} looks |")
    print("| --- | --- | --- | --- |")
    for name, x in distributions(chance, (repeats, LOOKS)).items():
        print(f"| {name} | " + " | ".join(f"{100 * part:.1f} %" for part in coverage(x)) + " |")
    print("\n| mean | spread | sequence, 50 % | 80 % | within 40 | fixed n, 50 % | 80 % | bounded, 50 % |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for mean, spread in COSTS:
        x = np.round(chance.normal(mean, spread, (repeats, 2 * LOOKS)), 4)
        own, power = decided(x), fixed(x)
        rivals = [np.argmax(power >= part) + 1 for part in (0.5, 0.8)]
        wide = np.quantile(decided_bounded(chance.normal(mean, spread, BOUNDED)), 0.5, method="lower")
        half, most = np.quantile(own, [0.5, 0.8], method="lower")
        print(
            f"| {100 * mean:.2f} | {100 * spread:.2f} | {whole(half)} | {whole(most)} | {(own <= 40).mean():.0%} | "
            f"{rivals[0]} | {rivals[1]} | {whole(wide)} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000, help="simulated confirmations of each kind")
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
