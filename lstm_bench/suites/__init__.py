"""A suite: the YAML file, its schema, the search space, a configuration."""
