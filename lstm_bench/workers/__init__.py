"""Workers: processes that train, here, on other machines and on Dask."""
