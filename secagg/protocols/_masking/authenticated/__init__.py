"""Pairwise masking against a server that lies: keys are signed, survivors are agreed on."""
