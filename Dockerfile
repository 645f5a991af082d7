# One image, several commands: docker run spanwatch [up|api|worker|broker|topics|migrate|analyze FILE|backup FOLDER|…]
#
# Everything that is written is in /var/lib/spanwatch (SPANWATCH_STATE); captures are looked for in /data.
# The process is never root. What needs capabilities goes through with-net, the only program here that may take any:
#
#   docker run --network host --cap-drop ALL --cap-add NET_RAW --cap-add NET_ADMIN --cap-add SYS_NICE \
#       --entrypoint with-net spanwatch capture --interface eth1
#
#   NET_RAW     capture from an interface
#   NET_ADMIN   promiscuous mode, the card's time stamps, and nftables where addresses are blocked
#   SYS_NICE    capture before everything else
#
# docs/installing.md says more; infra/compose.yaml brings up a whole stack.

FROM maven:3.9.11-eclipse-temurin-17 AS kafka
WORKDIR /build
COPY infra/kafka/pom.xml .
RUN version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' pom.xml) \
    && mvn -q -B -ntp dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="/opt/kafka/$version"

FROM node:22.21.1-bookworm-slim AS console
WORKDIR /build/console
# The packages in a layer of their own: they change less often than the pages.
COPY console/package.json console/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY console/ ./
RUN npm run build

FROM python:3.11.14-slim-bookworm AS python
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt \
    && rm requirements.txt
COPY README.md LICENSE *.py ./
COPY schemas/ schemas/
COPY infra/ infra/
COPY streams/ streams/
COPY agents/ agents/
COPY api/ api/
COPY models/ models/
COPY samples/ samples/
COPY --from=console /build/console/dist console/dist
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps -e .

FROM python:3.11.14-slim-bookworm
ENV DEBIAN_FRONTEND=noninteractive
# Not pinned: Debian keeps the newest of a release only, and those are its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libcap2-bin nftables openjdk-17-jre-headless tini tshark util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/spanwatch spanwatch \
    && install -d -o spanwatch -g spanwatch /var/lib/spanwatch /var/cache/spanwatch /data \
    # A file with capabilities of its own gives them to who is not root, if the container has them; setpriv(1) hands
    # them on to what it starts (ambient capabilities), so that Python and nft need none in their files.
    && cp /usr/bin/setpriv /usr/local/bin/setpriv-net \
    && setcap cap_net_raw,cap_net_admin,cap_sys_nice+ep /usr/local/bin/setpriv-net
COPY --chmod=755 infra/with-net /usr/local/bin/with-net
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
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME ["/var/lib/spanwatch"]
EXPOSE 8000 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, ssl, urllib.request as u; \
tls = bool(os.environ.get('SPANWATCH_TLS_CERTIFICATE')); \
port = os.environ.get('SPANWATCH_PORTS', '8000').split(',')[0]; \
u.urlopen(f'http{\"s\" * tls}://127.0.0.1:{port}/health', timeout=4, context=ssl._create_unverified_context() if tls else None)"]
# tini takes up the processes that lose their parent, and passes signals on.
ENTRYPOINT ["tini", "--", "spanwatch"]
CMD ["up"]
