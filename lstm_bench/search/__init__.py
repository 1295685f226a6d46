"""The search: the Optuna study, its suggestions, its queue and locks."""
