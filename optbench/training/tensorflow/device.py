"""The device that TensorFlow computes on, its threads, and how many lane groups it runs at once."""

import platform
import re
from pathlib import Path

import tensorflow as tf

from optbench.cores import cores


def device() -> str:
    """GPU or CPU."""
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def device_name() -> str:
    """GPU or CPU with the name of the processor. Only the same CPU gives the same numbers, bit for bit."""
    if device() == "GPU":
        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        return f"GPU {details.get('device_name', '')}".rstrip()
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return f"CPU {found[1] if found else platform.processor()}".rstrip()


def threads() -> int:
    """How many threads share an operation in this process."""
    return tf.config.threading.get_intra_op_parallelism_threads() or cores()


def groups_at_once() -> int:
    """How many lane groups run at once: one on each core, or one on a GPU."""
    return 1 if device() == "GPU" else cores()
