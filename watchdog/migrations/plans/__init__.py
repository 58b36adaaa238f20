"""One plan over several stores: applied in order, taken back in reverse."""
