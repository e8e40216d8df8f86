"""Decides what to train next and what becomes of it. It knows no database and no TensorFlow."""
