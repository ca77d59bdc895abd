"""One folder a model: network, data, training, export and bundle."""
