# syntax=docker/dockerfile:1
# Both programs in one image, /usr/local/bin/api and /usr/local/bin/worker, with esbuild beside them for SCRIPT_NPM=1; as
# an unprivileged user, on a root file system that may be read-only. The build step is scripts/image-build, which
# `make test` runs outside Docker as well.

# Where a folder with the V8 library may be given, for networks that reach package registries only:
# docker build --build-context v8=FOLDER. Without one the crate downloads its own.
FROM scratch AS v8

FROM rust:1.95-slim-trixie AS build
RUN apt-get update && apt-get install --yes --no-install-recommends \
      build-essential ca-certificates curl nodejs npm python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true CARGO_TARGET_DIR=/target
RUN --mount=type=bind,from=v8,target=/v8 \
    --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    if [ -n "$(ls /v8)" ]; then RUSTY_V8_FOLDER=/v8 scripts/v8-library; fi && \
    scripts/image-build /out

FROM gcr.io/distroless/cc-debian13:nonroot
LABEL org.opencontainers.image.title="RunnerCtl" \
      org.opencontainers.image.description="Runs the scripts behind Plane's automations" \
      org.opencontainers.image.licenses="AGPL-3.0-only"
COPY --from=build /out/bin/ /usr/local/bin/
# Fixtures, and for scanners that do not read Rust binaries what is inside (sbom.cdx.json, licences.txt).
COPY --from=build /out/share/ /usr/share/runnerctl/
USER 65532:65532
EXPOSE 8000 3000
CMD ["/usr/local/bin/api", "serve"]
