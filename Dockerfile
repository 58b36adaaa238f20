# migration-watchdog: the daemon, without the servers of the demo.
#
#   docker build -t migration-watchdog .
#   docker run --read-only --stop-timeout 40 -p 9187:9187 -v watchdog-state:/var/lib/watchdog \
#     -v "$PWD/watchdog:/etc/watchdog:ro" migration-watchdog
#
# /etc/watchdog holds config.yaml with rules/ and rollbacks/ beside it, and /var/lib/watchdog the state: `state:` names
# that directory, `web: {metrics: "0.0.0.0:9187"}` makes metrics and health reachable. Run one container on a volume:
# the journal is held by one daemon. A stop takes up to 25 s while a step ends, longer than Docker waits by itself.

FROM python:3.13-slim AS dependencies
COPY requirements/run.txt /src/requirements/run.txt
RUN python -m venv --without-pip /opt/watchdog \
 && python -m pip --python /opt/watchdog/bin/python install --no-cache-dir --require-hashes -r /src/requirements/run.txt

FROM python:3.13-slim AS wheel
COPY requirements/dev.txt /src/requirements/dev.txt
# The build backend is locked among the tools of development; nothing of this stage but the wheel goes on.
RUN python -m pip install --no-cache-dir --require-hashes -r /src/requirements/dev.txt
WORKDIR /src
COPY LICENSE README.md config.yaml pyproject.toml ./
COPY rules rules
COPY rollbacks rollbacks
COPY watchdog watchdog
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM dependencies AS application
COPY --from=wheel /wheels /wheels
RUN python -m pip --python /opt/watchdog/bin/python install --no-cache-dir --no-index --no-deps /wheels/*.whl

FROM python:3.13-slim
RUN groupadd --gid 10001 watchdog \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/watchdog --shell /usr/sbin/nologin watchdog \
 && install --directory --owner=watchdog --group=watchdog --mode=0700 /var/lib/watchdog
COPY --from=application /opt/watchdog /opt/watchdog
ENV PATH=/opt/watchdog/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WATCHDOG_CONFIG=/etc/watchdog/config.yaml \
    WATCHDOG_HEALTH=http://127.0.0.1:9187/health/live
USER 10001:10001
WORKDIR /var/lib/watchdog
VOLUME /var/lib/watchdog
EXPOSE 9187
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(os.environ['WATCHDOG_HEALTH'], timeout=4)"]
ENTRYPOINT ["watchdog", "run"]
