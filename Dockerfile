# One image for all that runs: the web server, a cluster, and manage.py. See docs/deploy.md.
#
#     docker build -t chatflow .
#
# Pin the base to a digest in your own builds: --build-arg BASE=python:3.11-slim-bookworm@sha256:…
ARG BASE=python:3.11-slim-bookworm

# The packages, each with a known hash. A few are no wheels yet, of Python alone: no compiler is needed.
FROM ${BASE} AS packages
WORKDIR /srv/chatflow
COPY pins.txt ./
RUN python -m venv --without-pip .venv \
    && pip --disable-pip-version-check --python .venv/bin/python install --no-cache-dir \
        --require-hashes --no-deps -r pins.txt

FROM ${BASE}
# As PID 1 it passes SIGTERM on, also to a process that is still starting, and buries what others
# leave behind: a worker that is killed may have had children of its own.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
# By number, so that Kubernetes sees that it isn't root.
RUN useradd --system --uid 10001 --user-group --home-dir /srv/chatflow --no-create-home \
    --shell /usr/sbin/nologin chatflow
WORKDIR /srv/chatflow
COPY --from=packages /srv/chatflow/.venv .venv
COPY manage.py LICENSE ./
COPY chatflow chatflow
COPY workflows workflows
COPY templates templates
COPY static static
COPY locale locale
# All belongs to root, and nothing is written here: the root file system may be read-only. What is
# written goes to /tmp, such as the static files, which are packed when they are first asked for.
RUN chmod -R a+rX manage.py chatflow workflows templates static locale \
    && .venv/bin/python -m compileall -q chatflow workflows
ENV PATH=/srv/chatflow/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["tini", "--"]
CMD ["uvicorn", "chatflow.asgi:application", "--http", "chatflow.door:Door", "--limit-concurrency", "20000", "--host", "0.0.0.0", "--port", "8000"]
# Whether the web server lives, and not whether the database does: who restarts it mends the former
# only. A cluster has another one, in compose.yaml.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
