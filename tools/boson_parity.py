"""Does our engine compute what the original Higgs Audio v2 code computes? Runs both on the same weights and says so.

    python tools/boson_parity.py --make-env          # once: the original's environment, .venv-boson
    python tools/boson_parity.py                     # exit code 0 only if everything agrees

The original code (boson-multimodal 0.1.1, Python environment of its own) makes tiny random weights, saves them with its
own ``save_pretrained`` and computes logits and greedy codes. Here, the saved folder goes through our
``convert_checkpoint``; transformers' native model and our engine's decoding loop then answer the same prompts.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = REPOSITORY / ".venv-boson"
BOSON = "boson-multimodal==0.1.1"
THRESHOLD = 1e-5
"""Largest logit difference that still counts as agreement. Logits here spread over about ±8."""
NUM_CODEBOOKS, CODEBOOK_SIZE = 8, 1024
SYSTEM = (
    "Generate audio following instruction.\n\n"
    "<|scene_desc_start|>\nAudio is recorded from a quiet room.\n<|scene_desc_end|>"
)
LINES = [
    "The sun rises in the east.",
    "It was the night before my birthday, and nobody slept.",
    "Numbers: 3, 14 and 159.",
]


def main() -> int:
    """Exit code: 0 both agree, 1 they do not, 2 the original's environment is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boson-python", type=Path, default=ENVIRONMENT / "bin" / "python")
    parser.add_argument("--make-env", action="store_true", help="create the environment of --boson-python and stop")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rows", type=int, default=96, help="most rows of codes to generate for each prompt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--original", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.original:
        run_original(options.original)
        return 0
    if options.make_env:
        return make_environment(options.boson_python)
    if not options.boson_python.is_file():
        print(
            f"{options.boson_python} does not exist: run tools/boson_parity.py --make-env, or name an interpreter with "
            "--boson-python.",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="boson-parity-") as folder:
        return compare(Path(folder), options)


def make_environment(python: Path) -> int:
    """Create the virtual environment ``python`` belongs to, with everything the original needs."""
    folder = python.parent.parent
    requirements = str(REPOSITORY / "requirements-boson.txt")
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "-q", "-r", requirements],
        [str(python), "-m", "pip", "install", "-q", "--no-deps", BOSON],
    ):
        if code := subprocess.run(command, check=False).returncode:
            return code
    print(f"{python} is ready.")
    return 0


# --- the original's side: runs in its own environment, knows nothing of this repository ---


def run_original(folder: Path) -> None:
    """Read ``request.json``; write ``original/`` (weights and config) and ``original.safetensors`` (answers)."""
    import torch
    import transformers
    from boson_multimodal.data_collator.higgs_audio_collator import HiggsAudioSampleCollator
    from boson_multimodal.dataset.chatml_dataset import ChatMLDatasetSample
    from boson_multimodal.model.higgs_audio import HiggsAudioConfig, HiggsAudioModel
    from safetensors.torch import save_file

    request = json.loads((folder / "request.json").read_text())
    torch.manual_seed(request["seed"])
    config = HiggsAudioConfig(**request["config"])
    model = HiggsAudioModel(config)
    fill_with_noise(model, config)
    dtype = getattr(torch, request["dtype"])
    model.to(dtype).save_pretrained(folder / "original")
    # Loaded again, as its users load it: the cast above has rounded the rotary frequencies too, which loading does not.
    model = HiggsAudioModel.from_pretrained(folder / "original", torch_dtype=dtype).eval()
    collate = HiggsAudioSampleCollator(
        whisper_processor=None, encode_whisper_embed=False, audio_in_token_id=config.audio_in_token_idx,
        audio_out_token_id=config.audio_out_token_idx, audio_stream_bos_id=config.audio_stream_bos_id,
        audio_stream_eos_id=config.audio_stream_eos_id, pad_token_id=config.pad_token_id,
        return_audio_in_tokens=False, use_delay_pattern=True, audio_num_codebooks=config.audio_num_codebooks,
        round_to=1,
    )  # fmt: skip
    answers = {}
    for name, prompt in request["prompts"].items():
        clips = [torch.tensor(codes) for codes in prompt["clips"]]
        starts = [0]
        for clip in clips[:-1]:
            starts.append(starts[-1] + clip.shape[1])
        sample = ChatMLDatasetSample(
            input_ids=torch.tensor(prompt["ids"]), label_ids=None,
            audio_ids_concat=torch.cat(clips, dim=1) if clips else torch.zeros(NUM_CODEBOOKS, 0, dtype=torch.long),
            audio_ids_start=torch.tensor(starts if clips else [], dtype=torch.long),
            audio_waveforms_concat=torch.zeros(0), audio_waveforms_start=torch.zeros(0, dtype=torch.long),
            audio_sample_rate=torch.zeros(0), audio_speaker_indices=torch.zeros(0, dtype=torch.long),
        )  # fmt: skip
        # Without labels its collator trips over a name it never set: give it some that nothing looks at.
        sample.label_ids = torch.full_like(sample.input_ids, -100)
        sample.audio_label_ids_concat = sample.audio_ids_concat
        batch = collate([sample])
        inputs = {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
            "audio_out_ids": batch.audio_out_ids,
            "audio_out_ids_start": batch.audio_out_ids_start,
        }
        with torch.inference_mode():
            if prompt["speak"]:
                _, rows = model.generate(
                    **inputs, max_new_tokens=request["rows"], do_sample=False, use_cache=True,
                    eos_token_id=config.audio_eos_token_id, pad_token_id=config.pad_token_id,
                )  # fmt: skip
                answers[f"{name}.rows"] = rows[0].T.contiguous()
            else:
                output = model(**inputs, use_cache=True)
                answers[f"{name}.text"] = output.logits[0].float().contiguous()
                answers[f"{name}.audio"] = output.audio_logits.float().contiguous()
                answers[f"{name}.ids"] = output.expanded_input_ids[0].contiguous()
    save_file(answers, folder / "original.safetensors")
    print(f"original: boson-multimodal 0.1.1, transformers {transformers.__version__}, torch {torch.__version__}")


def fill_with_noise(model: Any, config: Any) -> None:
    """Weights that make every input count, and an end of speech that comes by itself now and then."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(0.0, 0.2)
            if "norm" in name:
                weight.add_(1.0)
        head = model.audio_decoder_proj.audio_lm_head.weight
        head = head.view(config.audio_num_codebooks, -1, head.shape[1])
        # As in trained models, the first codebook decides: the others name neither beginning nor end of their own.
        head[:, config.audio_stream_bos_id] = 0
        head[1:, config.audio_stream_eos_id] = 0
        head[0, config.audio_stream_eos_id] *= 1.5


# --- our side ---


def compare(folder: Path, options: argparse.Namespace) -> int:
    """Let both sides answer the same prompts in ``folder`` and print how far they are apart."""
    sys.path.insert(0, str(REPOSITORY))
    importlib.import_module("studio.engine")  # mends torchaudio, so before anything imports transformers
    import torch
    import transformers
    from safetensors.torch import load_file
    from transformers import AutoProcessor, HiggsAudioV2ForConditionalGeneration

    from studio.engine.checkpoints import build_tiny_checkpoint
    from studio.engine.conversion.convert import convert_checkpoint

    transformers.utils.logging.disable_progress_bar()
    base = build_tiny_checkpoint(folder / "base")
    processor = AutoProcessor.from_pretrained(base)
    prompts = make_prompts(processor.tokenizer, options.seed)
    request = {
        "config": original_config(processor.tokenizer),
        "prompts": prompts,
        "seed": options.seed,
        "dtype": options.dtype,
        "rows": options.rows,
    }
    (folder / "request.json").write_text(json.dumps(request))
    subprocess.run([str(options.boson_python), __file__, "--original", str(folder)], check=True, cwd=folder)
    answers = load_file(folder / "original.safetensors")

    report = convert_checkpoint(folder / "original", folder / "native", base=base)
    print(f"native: transformers {transformers.__version__}, torch {torch.__version__}, {options.dtype}")
    print(report.message)
    model = HiggsAudioV2ForConditionalGeneration.from_pretrained(folder / "native", use_text_head=True, dtype="auto")
    model.eval()
    agree = True
    for name, prompt in prompts.items():
        inputs = native_inputs(prompt, processor)
        if prompt["speak"]:
            same, words = compare_codes(model, inputs, prompt, processor, answers[f"{name}.rows"], options.rows)
        else:
            same, words = compare_logits(model, inputs, answers, name)
        agree &= same
        print(f"{name:32} {words}{'' if same else '   <-- DIFFERS'}")
    print("They agree." if agree else "They DO NOT agree.", f"(threshold for logits: {THRESHOLD:g})")
    return 0 if agree else 1


def original_config(tokenizer: Any) -> dict[str, Any]:
    """Keyword arguments of the original's config: the released architecture, tiny, with this tokenizer's ids."""
    token = tokenizer.convert_tokens_to_ids
    layers = 3
    return {
        "text_config": {
            "model_type": "llama", "vocab_size": 288, "hidden_size": 64, "intermediate_size": 96,
            "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
            "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
            "rope_scaling": {
                "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192, "rope_type": "llama3",
            },
        },
        "audio_adapter_type": "dual_ffn_fast_forward", "audio_dual_ffn_layers": list(range(layers)),
        "encode_audio_in_tokens": False, "encode_whisper_embed": False, "skip_audio_tower": True,
        "use_delay_pattern": True, "audio_num_codebooks": NUM_CODEBOOKS, "audio_codebook_size": CODEBOOK_SIZE,
        "audio_stream_bos_id": CODEBOOK_SIZE, "audio_stream_eos_id": CODEBOOK_SIZE + 1,
        "audio_in_token_idx": token("<|AUDIO|>"), "audio_out_token_idx": token("<|AUDIO_OUT|>"),
        "audio_out_bos_token_id": token("<|audio_out_bos|>"), "audio_eos_token_id": token("<|audio_eos|>"),
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip


def make_prompts(tokenizer: Any, seed: int) -> dict[str, dict[str, Any]]:
    """Conversations with and without a reference turn, to be read (logits) or to be continued (codes)."""
    import torch

    generator = torch.Generator().manual_seed(seed + 1)

    def clip(frames: int) -> list[list[int]]:
        return torch.randint(0, CODEBOOK_SIZE, (NUM_CODEBOOKS, frames), generator=generator).tolist()

    def turn(role: str, content: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>"

    heard = turn("assistant", "<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>")
    to_speak = "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>"
    prompts = {}
    for number, line in enumerate(LINES):
        reference = turn("user", LINES[number - 1]) + heard
        for kind, middle in (("without reference", ""), ("with reference", reference)):
            start = "<|begin_of_text|>" + turn("system", SYSTEM) + middle + turn("user", line)
            for what, text in (("logits", start + heard), ("codes", start + to_speak)):
                prompts[f"{what} {kind} {number + 1}"] = {
                    "ids": tokenizer(text, add_special_tokens=False).input_ids,
                    "text": text,
                    "line": line,
                    "reference": LINES[number - 1] if middle else None,
                    "clips": [clip(11 + 7 * number) for _ in range(text.count("<|AUDIO_OUT|>"))],
                    "speak": what == "codes",
                }
    return prompts


def native_inputs(prompt: dict[str, Any], processor: Any) -> dict[str, Any]:
    """The prompt as transformers' own processor lays it out, from codes instead of waveforms."""
    import torch

    text, rows = prompt["text"], []
    for codes in prompt["clips"]:
        clip = torch.tensor(codes)[None]
        ends = [clip.new_full((1, NUM_CODEBOOKS, 1), stream) for stream in (CODEBOOK_SIZE, CODEBOOK_SIZE + 1)]
        rows.append(processor.build_delay_pattern(torch.cat([ends[0], clip, ends[1]], dim=2))[0].T)
        placeholders = processor.get_audio_tokens(len(rows[-1])).replace("<|AUDIO_OUT|>", "\0")
        text = text.replace("<|AUDIO_OUT|>", placeholders, 1)
    ids = processor.tokenizer(text.replace("\0", "<|AUDIO_OUT|>"), add_special_tokens=False, return_tensors="pt")
    inputs = {"input_ids": ids.input_ids, "attention_mask": torch.ones_like(ids.input_ids)}
    if rows:
        inputs["audio_input_ids"] = torch.cat(rows)[None]
        inputs["audio_input_ids_mask"] = torch.ones(inputs["audio_input_ids"].shape[:2], dtype=torch.bool)
    return inputs


def compare_logits(model: Any, inputs: dict[str, Any], answers: Any, name: str) -> tuple[bool, str]:
    """Text logits of every position and audio logits of every position of a clip."""
    import torch

    with torch.inference_mode():
        hidden = model.model(**inputs).last_hidden_state[0]
        config, ids = model.config, inputs["input_ids"][0]
        clips = (ids == config.audio_token_id) | (ids == config.audio_delay_token_id)
        text = model.text_lm_head(hidden).float()
        audio = model.audio_lm_head(hidden[clips]).float().view(-1, config.num_codebooks, config.codebook_size)
    ids = torch.where(clips, config.audio_token_id, ids)  # the original has one token for every row of a clip
    if not torch.equal(ids, answers[f"{name}.ids"]):
        return False, "the expanded prompts differ"
    differences = [
        (found - answers[f"{name}.{kind}"]).abs().max().item() for kind, found in (("text", text), ("audio", audio))
    ]
    spread = answers[f"{name}.audio"].abs().max().item()
    words = (
        f"largest difference: text {differences[0]:.3g}, audio {differences[1]:.3g}"
        f"   ({len(text)} positions, {len(audio)} of them audio; audio logits up to {spread:.1f})"
    )
    return max(differences) <= THRESHOLD, words


def compare_codes(
    model: Any, inputs: dict[str, Any], prompt: dict[str, Any], processor: Any, original: Any, max_rows: int
) -> tuple[bool, str]:
    """Greedy codes of transformers' ``generate`` and of our engine against the original's delayed rows."""
    import torch

    # Greedy on both sides: repetition-aware sampling draws lots even then, so it is off.
    model.generation_config.ras_win_len = None
    heard = inputs["audio_input_ids"].shape[1] if "audio_input_ids" in inputs else 0
    native = model.generate(**inputs, max_new_tokens=max_rows, do_sample=False)[0, heard:]
    eos = model.config.audio_stream_eos_id
    # Native generation adds a last row of nothing but EOS, where the original already stops.
    closed = bool((native[-1] == eos).all())
    native = native[:-1] if closed else native
    frames = undelayed(original, eos)
    ours = engine_frames(model, prompt, processor, max_rows)
    same_native, same_engine = torch.equal(native, original), torch.equal(ours, frames)
    words = (
        f"{len(original)} rows, {'ended by itself' if closed else 'cut at the limit'}: native generate "
        f"{'identical' if same_native else 'differs'}, our engine {'identical' if same_engine else 'differs'} "
        f"({len(ours)} frames)"
    )
    return same_native and same_engine, words


def undelayed(rows: Any, eos: int) -> Any:
    """Frames (num_frames, num_codebooks) of delayed rows that open with a row of BOS; those complete before the EOS."""
    import torch

    rows = rows[1:]
    ends = (rows[:, 0] == eos).nonzero()
    complete = max(0, len(rows) - NUM_CODEBOOKS + 1)
    count = min(int(ends[0]), complete) if len(ends) else complete
    frames = [torch.stack([rows[frame + k, k] for k in range(NUM_CODEBOOKS)]) for frame in range(count)]
    return torch.stack(frames) if frames else rows[:0]


def engine_frames(model: Any, prompt: dict[str, Any], processor: Any, max_rows: int) -> Any:
    """What our engine's own prompt builder and decoding loop say to the same conversation."""
    import contextlib

    import torch

    from studio.engine.model.sampling import FrameStream, Sampling
    from studio.engine.prompt import encode_prompt, speech_conversation

    transcripts = [(None, prompt["reference"])] if prompt["reference"] else []
    encoded = encode_prompt(
        speech_conversation(prompt["line"], transcripts=transcripts),
        [torch.tensor(codes) for codes in prompt["clips"]],
        tokenizer=processor.tokenizer,
        stream_bos_id=model.config.audio_stream_bos_id,
        stream_eos_id=model.config.audio_stream_eos_id,
    )
    stream = FrameStream(
        lambda: contextlib.nullcontext(model),
        model.config,
        encoded,
        max_frames=max_rows - NUM_CODEBOOKS,
        sampling=Sampling(temperature=0.0),
        generator=torch.Generator(),
    )
    frames = list(stream)
    return torch.stack(frames) if frames else torch.empty(0, NUM_CODEBOOKS, dtype=torch.long)


if __name__ == "__main__":
    sys.exit(main())
