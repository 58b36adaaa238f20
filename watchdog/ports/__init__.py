"""The protocols between the engine and the world."""
