"""Statistics and figures on finished studies: numpy, scipy and plotly; no TensorFlow."""
