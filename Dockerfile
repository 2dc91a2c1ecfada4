# Higgs Voice Studio: the same app.py as `make run`, for a server. See "Deploying" in README.md.
#
#   docker build -t higgs-voice-studio .
#   docker run --rm -p 127.0.0.1:7860:7860 -v higgs-voice-studio:/data higgs-voice-studio        # --gpus all for a GPU
#
# This file has not been built in continuous integration yet.

FROM python:3.11-slim

# Where pip looks for torch besides PyPI. Empty, it takes PyPI's build, which has CUDA and also runs without a GPU.
# For a much smaller image that never uses a GPU:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu -t higgs-voice-studio .
# ("2.13.0+cpu" satisfies the pin torch==2.13.0 and, as a local version, is preferred to PyPI's "2.13.0".)
ARG TORCH_INDEX=""

# No apt packages: soundfile and av carry libsndfile and FFmpeg's libraries in their wheels, imageio-ffmpeg the ffmpeg
# program, torch its OpenMP. The only package without a wheel, crcmod, installs in pure Python where there is no compiler.
WORKDIR /app
COPY requirements.txt requirements-nodeps.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    -r requirements.txt \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps -r requirements-nodeps.txt

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
