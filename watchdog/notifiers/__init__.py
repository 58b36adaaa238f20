"""One file a notifier: says a notice once, and can tell afterwards whether it was said."""
