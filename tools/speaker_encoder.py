"""Makes assets/listening/speaker_encoder.safetensors out of the weights that Resemblyzer's wheel carries.

    pip download --no-deps --dest build resemblyzer==0.1.4
    python -m tools.speaker_encoder build/Resemblyzer-0.1.4-py3-none-any.whl

The package cannot be installed plainly (its metadata asks for webrtcvad, which is source alone and needs a compiler), and
its file is a pickle that holds the optimizer too: 17 MB for 6 MB of weights. The wheel must be the one named below, byte
for byte; the pickle is read as tensors only.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from pathlib import Path

WHEEL_SHA256 = "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f"
ASSET = Path(__file__).resolve().parent.parent / "assets" / "listening" / "speaker_encoder.safetensors"


def main() -> int:
    """Exit code: 0 written, 1 the wheel is not the one expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, default=ASSET)
    options = parser.parse_args()
    content = options.wheel.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != WHEEL_SHA256:
        print(f"Not made: {options.wheel} has the sha256 {found}, not {WHEEL_SHA256}", file=sys.stderr)
        return 1
    import torch
    from safetensors.torch import save_file

    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        pickled = io.BytesIO(wheel.read("resemblyzer/pretrained.pt"))
    state = torch.load(pickled, map_location="cpu", weights_only=True)["model_state"]
    weights = {name: tensor.contiguous() for name, tensor in state.items() if name.startswith(("lstm.", "linear."))}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, options.out, metadata={"source": "resemblyzer==0.1.4", "licence": "Apache-2.0"})
    print(f"{options.out}: {len(weights)} tensors, {options.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
