"""The report: `sections` are its contents, `render` writes it."""
