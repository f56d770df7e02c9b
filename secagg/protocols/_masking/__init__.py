"""The masking protocols: one implementation, of which SecAgg and SecAgg+ are two settings."""
