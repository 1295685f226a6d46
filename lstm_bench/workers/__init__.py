"""Worker processes that train: on this machine, on others and on Dask clusters."""
