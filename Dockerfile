# One image, several commands: docker run spanwatch [up|worker|api|broker|analyze FILE|…]
#
# Everything that is written is in /var/lib/spanwatch (SPANWATCH_STATE); captures are looked for in /data.
# A live port needs --network host --cap-add NET_RAW --cap-add NET_ADMIN.

FROM maven:3-eclipse-temurin-17 AS kafka
WORKDIR /build
COPY infra/kafka/pom.xml .
RUN version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' pom.xml) \
    && mvn -q -B -ntp dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="/opt/kafka/$version"

FROM python:3.11-slim-bookworm AS python
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# The dependencies in a layer of their own: they change less often than the code.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps -e .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        nftables openjdk-17-jre-headless tini tshark \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/spanwatch spanwatch \
    && install -d -o spanwatch -g spanwatch /var/lib/spanwatch /var/cache/spanwatch /data
COPY --from=kafka /opt/kafka /opt/kafka
COPY --from=python /opt/venv /opt/venv
COPY --from=python /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/spanwatch \
    SPANWATCH_STATE=/var/lib/spanwatch \
    SPANWATCH_KAFKA_HOME=/opt/kafka \
    SPANWATCH_DATA_ROOTS=/data:/app/samples \
    SPANWATCH_HOST=0.0.0.0
USER spanwatch
WORKDIR /data
VOLUME ["/var/lib/spanwatch"]
EXPOSE 8000 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, ssl, urllib.request as u; \
tls = bool(os.environ.get('SPANWATCH_TLS_CERTIFICATE')); \
u.urlopen(f'http{\"s\" * tls}://127.0.0.1:8000/health', timeout=4, context=ssl._create_unverified_context() if tls else None)"]
# tini takes up the processes that lose their parent, and passes signals on.
ENTRYPOINT ["tini", "--", "spanwatch"]
CMD ["up"]
