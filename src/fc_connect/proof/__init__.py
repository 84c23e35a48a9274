"""What tries to break the promises: histories, a toxic proxy, a simulator, crash points. Tests and `prove` use it."""
