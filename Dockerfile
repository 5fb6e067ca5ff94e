# One image for every process of the shop: `kontor serve` alone, each of the three services, `init`, `audit`.
#   docker build -t kontor:local .
#   docker run -p 127.0.0.1:8000:8000 -v kontor-data:/data --read-only kontor:local     a whole shop in one container

FROM docker.io/library/swift:6.3-bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make libsqlite3-dev libjemalloc-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Package.swift Makefile LICENSE NOTICE ./
COPY scripts ./scripts
COPY Sources ./Sources
# The package does not resolve without the folders of its tests.
COPY Tests ./Tests
RUN make build && strip -o /kontor .build/release/kontor && scripts/licences /licences

# The binary has Swift's runtime in it; it needs the system's C and C++ libraries, SQLite, jemalloc, and for rediss:// whom to trust.
FROM docker.io/library/debian:bookworm-slim AS run
LABEL org.opencontainers.image.title="Kontor" org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libsqlite3-0 libjemalloc2 libstdc++6 ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* && mkdir /data && chown 65532:65532 /data
COPY --from=build /kontor /usr/local/bin/kontor
COPY --from=build /licences /usr/share/doc/kontor
# A number, so that Kubernetes sees that it is not root. Nothing is written but below /data, and there only by the embedded store.
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV KONTOR_HOST=0.0.0.0 KONTOR_DATA=/data
EXPOSE 8000 8100
# Not ready for a while is no reason to restart; compose waits for it, though.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["kontor", "health"]
ENTRYPOINT ["kontor"]
CMD ["serve"]
