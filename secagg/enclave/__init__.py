"""What runs inside the enclave's own process: its start, its confinement, and its one channel."""
