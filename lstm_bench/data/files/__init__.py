"""Users' own files: one module per family of formats, all of which yield examples."""
