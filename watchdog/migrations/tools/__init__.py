"""Migration tools that a team already has, applied so that what they did can be taken back."""
