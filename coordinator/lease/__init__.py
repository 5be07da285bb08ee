"""The right to lead a group: one holder per epoch, fenced by the epoch's number."""

from .base import Lease, Vacant
from .file import FileLease

__all__ = ["FileLease", "Lease", "Vacant"]
