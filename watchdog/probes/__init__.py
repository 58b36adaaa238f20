"""One file a probe: reads one target and answers with samples."""
