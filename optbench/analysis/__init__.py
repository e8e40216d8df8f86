"""Statistics on finished studies: numpy and scipy; no TensorFlow."""
