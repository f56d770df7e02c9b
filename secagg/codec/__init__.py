"""From named tensors to ring vectors and back: layout, clipping, fixed point, weighted means."""

from secagg.codec.clip import NormClip
from secagg.codec.layout import Layout, TensorSpec
from secagg.codec.pipeline import Codec, Decoded, Encoded
from secagg.codec.quantize import FixedPoint

__all__ = ["Codec", "Decoded", "Encoded", "FixedPoint", "Layout", "NormClip", "TensorSpec"]
