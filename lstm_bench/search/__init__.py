"""The search: the Optuna study, what it suggests, its queue and locks."""
