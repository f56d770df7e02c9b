"""The enclave protocol's messages, what its parties sign and seal to, and the parties."""
