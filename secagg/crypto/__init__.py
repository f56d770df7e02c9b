"""Building blocks: randomness, key agreement, key derivation, encryption, signatures, sharing."""
