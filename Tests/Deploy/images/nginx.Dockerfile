# Stands in for the official nginx image, where no registry can be reached: the same user and signal.
FROM docker.io/library/debian:bookworm-slim
RUN groupadd --system --gid 101 nginx && useradd --system --gid nginx --no-create-home --home /nonexistent --shell /bin/false --uid 101 nginx \
    && apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
