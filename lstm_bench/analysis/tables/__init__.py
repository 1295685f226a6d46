"""Tables of results: `Results` in, tidy DataFrame out."""
