"""Trained voices without a training: a random adapter, and a run that seems to have made it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from studio.settings import Settings
from studio.store import adapters, jobs
from studio.store.store import Store
from studio.store.tables import AdapterRecord, JobRecord

SENTENCE = "It speaks unlike the base, is not silent, and ends by itself."
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def random_lora(base: Path, *, seed: int, text_head: bool = False, **options: Any) -> Any:
    """The model of a base with an adapter of peft's own: random instead of trained, but not zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import HiggsAudioV2ForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HiggsAudioV2ForConditionalGeneration.from_pretrained(base, use_text_head=text_head)
        options = {"r": 4, "lora_alpha": 8, "target_modules": LAYERS, "task_type": "CAUSAL_LM", **options}
        tuned = get_peft_model(model, LoraConfig(**options))
        with torch.no_grad():
            for parameter in tuned.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.05 * torch.randn_like(parameter))
    return tuned


def write_adapter(base: Path, folder: Path, *, seed: int = 1) -> Path:
    """A LoRA adapter as peft saves one."""
    random_lora(base, seed=seed).save_pretrained(folder)
    return folder


def register(
    settings: Settings, store: Store, adapter: Path, base: Path, *, owner: str = "", run: str = "Demo", step: int = 30,
    job_id: str = "", consent: list[dict[str, Any]] | None = None, consent_sentence: str = "consent not recorded",
    ok: bool = True, sentence: str = SENTENCE,
) -> AdapterRecord:  # fmt: skip
    """Copy an adapter into the folder of a run, and put run and adapter into the store."""
    from studio.engine.checkpoints import find_checkpoint

    job = JobRecord(owner=owner, name=run, device="cpu", state="completed", **({"id": job_id} if job_id else {}))
    folder = f"jobs/{job.id}/run/checkpoint-{step}"
    shutil.copytree(adapter, settings.home / folder)
    files = find_checkpoint(str(base))
    card = {
        "run": {"id": job.id, "name": run, "preset": "quick"},
        "step": step,
        "max_steps": 60,
        "base": {
            "name": files.shown_name,
            "checkpoint": str(base),
            "folder": str(files.folder),
            "bytes": files.size_bytes,
        },
        "data": {
            "source": "rows.jsonl", "sha256": "0123456789abcdef" * 4, "rows": 2, "seconds": 7.4, "speakers": ["Kathleen"],
        },
        "command": ["python", "-m", "swift_plugins.launch", "sft", "--dataset", "/home/me/my rows.jsonl"],
        "metrics": {"loss": 3.21, "audio_loss": 3.3, "eval_loss": float("nan")},
        "samples": [{"text": "Hello.", "file": "x.wav", "seconds": 1.5, "ended": True, "loudness_dbfs": -20.0}],
        "consent": consent or [],
        "consent_sentence": consent_sentence,
        "comparison": {"ok": ok, "sentence": sentence},
    }  # fmt: skip
    row = AdapterRecord(owner=owner, job_id=job.id, step=step, name=f"{run} · step {step}", folder=folder, card=card)
    with store.writing() as session:
        if not jobs.job_by_id(session, job.id):
            jobs.save(session, job)
        adapters.save(session, row)
        session.refresh(row)
        session.expunge(row)
    return row
