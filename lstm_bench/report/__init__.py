"""The report: `sections` say what it shows, `render` writes it."""
