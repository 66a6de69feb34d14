"""Local stand-ins of the outside world, for the demo and the tests."""
