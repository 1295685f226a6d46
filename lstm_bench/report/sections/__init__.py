"""The sections of a report, one file each: its table, its drawing, its words."""
