"""A small real program in place of ms-swift: logs steps, saves checkpoints, stops on SIGTERM, resumes. For tests of jobs.

small_trainer.py [steps=20] [pace=0.05] [save=5] [then=complete|memory|disk|raise|cut] [at=N] [stray=yes] [deaf=yes]
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["STUDIO_HOME"]) / "jobs" / os.environ["STUDIO_JOB"]
OUTPUT = FOLDER / "run"


def save(step: int, steps: int) -> None:
    """A checkpoint as whole as the job's folder asks for."""
    folder = OUTPUT / f"checkpoint-{step}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": steps}))


def misfortune(what: str) -> None:
    if what == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        bytearray(2**34)
    elif what == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
        (FOLDER / "large").write_bytes(bytes(2**20))
    elif what == "raise":
        raise RuntimeError("the gradient went for a walk")
    elif what == "cut":
        with (OUTPUT / "logging.jsonl").open("a") as log:
            log.write('{"loss": 3.1, "text_lo')
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    given = dict(part.split("=", 1) for part in sys.argv[1:] if "=" in part)
    steps, pace, every = int(given.get("steps", 20)), float(given.get("pace", 0.05)), int(given.get("save", 5))
    first = 0
    if "--resume_from_checkpoint" in sys.argv:
        first = int(Path(sys.argv[sys.argv.index("--resume_from_checkpoint") + 1]).name.split("-")[1])
    asked: list[int] = []
    signal.signal(signal.SIGTERM, (lambda *_: None) if "deaf" in given else (lambda *_: asked.append(1)))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    if "stray" in given:  # as a DataLoader worker does: a group and a session of its own
        stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        (FOLDER / "stray").write_text(str(stray.pid))
    print("training begins", flush=True)
    for step in range(first + 1, steps + 1):
        time.sleep(pace)
        line = {"loss": 10 / step, "text_loss": 4 / step, "audio_loss": 6 / step, "learning_rate": 1e-4}
        with (OUTPUT / "logging.jsonl").open("a") as log:
            log.write(
                json.dumps({**line, "global_step/max_steps": f"{step}/{steps}", "train_speed(s/it)": pace}) + "\n"
            )
        if step % every == 0 or step == steps or asked:
            save(step, steps)
        if asked:
            return 0
        if step == int(given.get("at", -1)) and not first:
            misfortune(given["then"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
