# A device of a virtual group.
# Build from the project's root, after `make wheel`:
#   docker build -f deploy/docker/slave.Dockerfile -t vgroup-slave .
FROM python:3.11-slim-bookworm AS build
# Wheels alone, each checked by its hash: nothing is compiled, nothing but the lock is installed.
COPY requirements/slave.lock /tmp/slave.lock
COPY dist/vgroup-*.whl /tmp/
RUN python -m venv --without-pip /opt/vgroup \
    && python -m pip --python /opt/vgroup/bin/python install --no-cache-dir --no-deps --only-binary=:all: \
        --require-hashes -r /tmp/slave.lock \
    && python -m pip --python /opt/vgroup/bin/python install --no-cache-dir --no-deps --no-index /tmp/vgroup-*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 950 vgroup \
    && useradd --system --uid 950 --gid 950 --home-dir /var/lib/vgroup --no-create-home vgroup \
    && install -d -m 0700 -o vgroup -g vgroup /var/lib/vgroup
COPY --from=build /opt/vgroup /opt/vgroup
ENV PATH=/opt/vgroup/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CREDENTIALS_DIRECTORY=/run/secrets \
    VGROUP_SLAVE_DIR=/var/lib/vgroup/slave
USER 950:950
WORKDIR /var/lib/vgroup
VOLUME /var/lib/vgroup
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import json, subprocess as s; d = json.loads(s.check_output(['vgroup', 'slave', 'status', '--json'])); raise SystemExit(not d['is_running'] or d['state'] == 'revoked')"]
ENTRYPOINT ["vgroup"]
CMD ["slave", "run", "--stay", "--sensor", "psutil"]
