"""Figures: data in, `Figure` out."""
