# docker build --tag amiws-gevent .      docs/install.md tells how to run it.
# Each step is a script: the tests run them in Debian's own root, where no container engine is.
FROM debian:trixie-slim AS build
COPY . /src
RUN /src/scripts/container/build.sh

FROM debian:trixie-slim
COPY --from=build /image /
RUN /usr/lib/amiws-gevent/container/setup.sh
USER 8000:8000
EXPOSE 8000 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/lib/amiws-gevent/container/health.sh"]
ENTRYPOINT ["/usr/lib/amiws-gevent/container/run.sh"]
CMD ["--file", "/etc/amiws.yaml"]
