"""Jobs on a cluster of machines that dask.distributed has joined."""

from .connection import ClusterError, ClusterLostError
from .pool import ClusterPool, join

__all__ = ["ClusterError", "ClusterLostError", "ClusterPool", "join"]
