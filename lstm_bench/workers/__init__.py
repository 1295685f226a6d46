"""Dask workers that train, on this machine or a cluster, and their driver."""
