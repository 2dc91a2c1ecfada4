# Higgs Voice Studio: the same app.py as `make run`, for a server. See "Deploying" in README.md.
#
#   docker build -t higgs-voice-studio .
#   docker run --rm -p 127.0.0.1:7860:7860 -v higgs-voice-studio:/data higgs-voice-studio        # --gpus all for a GPU
#
# This file has not been built in continuous integration yet.

FROM python:3.11-slim

# cuda: PyPI's build of torch, which also runs without a GPU. cpu: a much smaller image that never uses one:
#   docker build --build-arg TORCH=cpu -t higgs-voice-studio .
ARG TORCH=cuda

# No apt packages: soundfile and av carry libsndfile and FFmpeg's libraries in their wheels, torch its OpenMP. Four packages
# exist as source alone and install in pure Python; the lock is complete, so nothing is looked for beside it.
WORKDIR /app
COPY requirements.txt requirements-cpu.txt ./
RUN if [ "$TORCH" = cpu ]; then lock=requirements-cpu.txt; links=https://download.pytorch.org/whl/cpu/torch/; \
    else lock=requirements.txt; links=; fi \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes ${links:+--find-links "$links"} -r "$lock"

COPY LICENSE NOTICE app.py ./
COPY assets ./assets
COPY swift_plugins ./swift_plugins
COPY studio ./studio

# The code belongs to root and is only read; the user owns /data and nothing else.
RUN python -m compileall -q app.py studio swift_plugins \
    && useradd --create-home --uid 1000 studio \
    && install --directory --owner=studio --group=studio /data

# What users make and the weights that the hub's client downloads both live in the volume.
ENV STUDIO_HOME=/data \
    STUDIO_HOST=0.0.0.0 \
    STUDIO_PORT=7860 \
    HF_HOME=/data/cache/huggingface \
    PYTHONUNBUFFERED=1

USER studio
VOLUME /data
EXPOSE 7860

# The page answers before a model is loaded, with or without a login.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['STUDIO_PORT']}/\", timeout=4)"]

# As process 1, Python ignores SIGTERM but closes in order on SIGINT.
STOPSIGNAL SIGINT
CMD ["python", "app.py"]
