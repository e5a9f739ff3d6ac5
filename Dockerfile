# SPDX-License-Identifier: MIT
# All of Tongke's server programs in one image. Example:
#   docker run -v /etc/tongke:/etc/tongke:ro -p 8080:8080 -p 8554:8554 -p 8000-8001:8000-8001/udp \
#       tongke tongke-relay --config /etc/tongke/tongke-relay.conf
# Inside a container loopback is of no use, so the configuration needs a key: tongkectl key new.
FROM debian:12 AS build
COPY . /src
WORKDIR /src
RUN tools/setup \
    && meson setup build-image --prefix=/usr --buildtype=release -Dtests=false -Dpage=enabled \
    && DESTDIR=/image meson install -C build-image --strip

FROM debian:12-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates gstreamer1.0-libav gstreamer1.0-plugins-bad gstreamer1.0-plugins-base \
        gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly gstreamer1.0-rtsp gstreamer1.0-x \
        fonts-noto-cjk libgstreamer-plugins-base1.0-0 libjansson4 libpangocairo-1.0-0 \
        libev4 libsodium23 libsoup-3.0-0 libsqlite3-0 libwebsockets17 libwebsockets-evlib-ev \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/tongke --create-home tongke
COPY --from=build /image /
USER tongke
WORKDIR /var/lib/tongke
VOLUME /var/lib/tongke
EXPOSE 8080 8081 8554 8000/udp 8001/udp
CMD ["tongke-relay", "--config", "/etc/tongke/tongke-relay.conf"]
