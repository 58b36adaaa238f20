"""How often the rules fire for nothing, how fast they fire for something, and what is rolled back then."""
