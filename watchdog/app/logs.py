"""Logging: one JSON object a line on standard error."""

import logging
import sys

import structlog

NOISY = ("apscheduler", "neo4j", "httpx", "httpcore", "slack_sdk", "uvicorn", "psycopg.pool", "aiohttp")


def configure(level: int = logging.INFO) -> None:
    """Sets structlog and the standard library's logging up for a daemon."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format='{"level":"%(levelname)s","event":"%(message)s"}'
    )
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
