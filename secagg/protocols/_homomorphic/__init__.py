"""Additive aggregation under a decryptor's key: what bfv and ckks share."""
