"""The sections of a report, one file each: its tables, figures and text."""
