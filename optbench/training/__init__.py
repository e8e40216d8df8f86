"""Training: what a trainer is (`contract`), what depends on a trial's seed (`order`), and the trainers themselves."""
