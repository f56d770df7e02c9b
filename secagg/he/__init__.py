"""Homomorphic encryption: parameters, worst-case noise, public contexts, SEAL through TenSEAL.

Everything but `secagg.he.seal`, and the workers that use it, is exact integer arithmetic and needs
no optional package, so a plan can be derived and checked, and a server can add ciphertexts, without
TenSEAL.
"""
