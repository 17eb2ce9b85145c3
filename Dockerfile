# An image with rsc alone: docker build -t rsc . && docker run --rm rsc --host db1.example.com list
# It has a shell, as hooks are shell commands.
FROM rust:1.90-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin rsc

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/rsc --create-home --shell /usr/sbin/nologin rsc
COPY --from=build /src/target/release/rsc /usr/bin/rsc
USER 10001
WORKDIR /var/lib/rsc
ENTRYPOINT ["/usr/bin/rsc"]
CMD ["--help"]
