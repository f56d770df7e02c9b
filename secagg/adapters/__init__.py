"""Backends for federated-learning frameworks: each framework's envelope to endpoints and back."""
