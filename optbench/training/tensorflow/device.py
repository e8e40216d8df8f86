"""The device that TensorFlow computes on, and how many cores there are."""

import os
import platform
import re
from pathlib import Path

import tensorflow as tf


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


def cores() -> int:
    """How many lane groups can run at once: the processors that this process may use, or 1 for a GPU."""
    if device() == "GPU":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
