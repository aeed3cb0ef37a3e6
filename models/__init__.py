"""Real classifiers built from package-carried weights, without a training framework."""
