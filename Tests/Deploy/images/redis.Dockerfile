# Stands in for the official Redis image, where no registry can be reached: the same user, folder, entrypoint and programs.
FROM docker.io/library/debian:bookworm-slim
RUN groupadd -r -g 999 redis && useradd -r -g redis -u 999 redis \
    && apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server \
    && mkdir -p /data && chown redis:redis /data \
    && printf '#!/bin/sh\nset -e\ncase $1 in -* | *.conf) set -- redis-server "$@" ;; esac\nexec "$@"\n' >/usr/local/bin/docker-entrypoint.sh \
    && chmod +x /usr/local/bin/docker-entrypoint.sh
VOLUME /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
