"""Foreign implementations under audit: the interface they fill in, and the process they run in."""

from secagg.audit.foreign.host import AdapterSubject
from secagg.audit.foreign.interface import ForeignImplementation

__all__ = ["AdapterSubject", "ForeignImplementation"]
