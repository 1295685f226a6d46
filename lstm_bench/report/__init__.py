"""The report: `sections` make its contents, `render` writes its files."""
