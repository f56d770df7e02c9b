"""A small federated-learning system: data sets, models, local training and averaging."""
