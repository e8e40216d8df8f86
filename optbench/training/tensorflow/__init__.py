"""The trainers, and everything else that computes with TensorFlow."""
