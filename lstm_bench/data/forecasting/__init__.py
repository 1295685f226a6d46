"""Series that go on: reading them, their windows, and what is known at an origin."""
