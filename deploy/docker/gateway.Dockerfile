# A gateway for masters on other machines.
# Build from the project's root, after `make wheel`:
#   docker build -f deploy/docker/gateway.Dockerfile -t vgroup-gateway .
FROM python:3.11-slim-bookworm AS build
# Wheels alone, each checked by its hash: nothing is compiled, nothing but the lock is installed.
COPY requirements/master.lock /tmp/master.lock
COPY dist/vgroup-*.whl /tmp/
RUN python -m venv --without-pip /opt/vgroup \
    && python -m pip --python /opt/vgroup/bin/python install --no-cache-dir --no-deps --only-binary=:all: \
        --require-hashes -r /tmp/master.lock \
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
    VGROUP_GATEWAY_DIR=/var/lib/vgroup/gateway
USER 950:950
WORKDIR /var/lib/vgroup
VOLUME /var/lib/vgroup
EXPOSE 3080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3080/healthz', timeout=4)"]
ENTRYPOINT ["vgroup"]
CMD ["gateway", "run", "--host", "0.0.0.0"]
