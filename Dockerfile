# One image for the order service, the master and the workers: what it runs is the command's choice.
FROM python:3.11.11-slim-bookworm AS build
WORKDIR /build
# For the native core of the client; the image that runs has no compiler.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/singlesday
COPY pyproject.toml setup.py README.md LICENSE ./
COPY loadtest loadtest
COPY target_service target_service
RUN /opt/singlesday/bin/pip install --no-cache-dir '.[postgres,remote-write]'

FROM python:3.11.11-slim-bookworm AS base
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin singlesday \
    && install -d -o 10001 -g 10001 /runs
COPY --from=build /opt/singlesday /opt/singlesday
COPY loadtest/locustfile.py /locustfile.py
ENV PATH=/opt/singlesday/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
WORKDIR /tmp

# For Locust's Kubernetes operator, which starts images with Locust's own flags: docker build --target locust .
FROM base AS locust
ENTRYPOINT ["locust"]

FROM base AS singlesday
ENTRYPOINT ["python", "-m"]
CMD ["target_service"]
