"""A copy of a graph in a file, and the graph made from it again."""
