"""Tables: `Results` in, tidy DataFrame out."""
