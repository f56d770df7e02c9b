"""Imports torch, or says how to get it; the modules of `fl` that need torch take it from here."""

from secagg.errors import UnavailableError

try:
    import torch
except ImportError as error:
    raise UnavailableError("training needs torch: pip install 'secagg[fl]'") from error

__all__ = ["torch"]
