# The quick benchmarks in a clean environment, with the pinned versions of constraints.txt:
#
#   docker build --tag adjointbench .
#   docker run --rm --hostname my-server \
#       --volume "$PWD/.asv/results:/home/bench/adjointbench/.asv/results" adjointbench
#
# The folder of results has to be writable for user 1000. Another target of make goes last, as in
# `adjointbench make bench-full`.
FROM python:3.11-slim

# A compiler for the native loops, git for the commit that is measured. The distribution keeps no
# older versions of a package, so that a pinned one would soon be gone.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 bench \
    && install --directory --owner bench /home/bench/adjointbench
USER 1000
WORKDIR /home/bench/adjointbench
COPY --chown=1000 . .

# With PyTorch's index of CPU wheels the image is several GB smaller.
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1
RUN make environment

CMD ["make", "bench"]
