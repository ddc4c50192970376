# docker build -t warren .                                                    (from the top of the checkout)
# docker run -d --init --hostname burrow -p 5151:5151 -v warren:/data -e WARREN_HOSTNAME=burrow.example.net --name warren warren
# docker logs warren                                                          (the setup link)
FROM node:22-slim AS build
WORKDIR /src
# What the pinned Node is linked to, and a slim Debian lacks.
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1
COPY . .
RUN npm ci --no-audit --no-fund && npm run build:executable

FROM debian:bookworm-slim
RUN apt-get update \
	&& apt-get install -y --no-install-recommends ca-certificates git iproute2 libatomic1 openssh-client tmux \
	&& rm -rf /var/lib/apt/lists/* \
	&& useradd --uid 1000 --create-home --shell /bin/bash warren \
	&& mkdir /data \
	&& chown warren:warren /data
COPY --from=build /src/dist/warren /usr/local/bin/warren
ENV WARREN_DATA=/data LANG=C.UTF-8 SHELL=/bin/bash
USER warren
WORKDIR /home/warren
# It unpacks itself now and not at the first start.
RUN ["warren", "--version"]
VOLUME /data
EXPOSE 5151 5152 8888
HEALTHCHECK --start-period=30s CMD ["warren", "status"]
# No shell in between: SIGTERM reaches it, and it drains.
ENTRYPOINT ["warren"]
CMD ["up"]
