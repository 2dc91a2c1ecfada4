"""The second file for ``--external_plugins``, on top of ``swift_plugins``: lessons drawn for every batch, and teaching.

A row of its dataset is a number. Template, model and callback are those of the plugin with something added; labels, losses,
optimizer and checkpoints stay as they are. What a run needs to know lies in the JSON file that ``HIGGS_DEMO_RUN`` names.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).resolve().parent)]
if str(Path(__file__).resolve().parents[2]) not in sys.path:
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from datasets import Dataset  # noqa: E402
from swift.callbacks import TrainerCallback, callbacks_map  # noqa: E402
from swift.dataset import DatasetMeta, register_dataset  # noqa: E402
from swift.dataset.loader import DatasetLoader  # noqa: E402
from swift.model import ModelMeta, register_model  # noqa: E402
from swift.template import StdTemplateInputs, TemplateMeta, register_template  # noqa: E402
from torch.nn.utils.rnn import pad_sequence  # noqa: E402

import studio.engine  # noqa: E402, F401  installs the import guard
from studio.engine.prompt import END_OF_TURN, IGNORED  # noqa: E402
from swift_plugins.model import HiggsAudioLoader  # noqa: E402
from swift_plugins.template import HiggsAudioTemplate  # noqa: E402
from tools.demo_checkpoint.curriculum import Curriculum, Run  # noqa: E402
from tools.demo_checkpoint.lessons import Alphabet  # noqa: E402
from tools.demo_checkpoint.teaching import TeachingModel  # noqa: E402

NAME = "higgs-demo"
RUN_VARIABLE = "HIGGS_DEMO_RUN"

_curriculum: list[Curriculum] = []


def curriculum() -> Curriculum:
    """That of this process's run, made when first asked for."""
    if not _curriculum:
        run = Run(**json.loads(Path(os.environ[RUN_VARIABLE]).read_text()))
        _curriculum.append(Curriculum(run))
    return _curriculum[0]


class LessonLoader(HiggsAudioLoader):
    """The plugin's loader with :class:`TeachingModel`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_model_cls = TeachingModel

    def get_model(self, *args: Any, **kwargs: Any) -> Any:
        """Weights as the plugin checks them, then the maps that no checkpoint has to have."""
        model = super().get_model(*args, **kwargs)
        model.add_teaching()
        return model


class LessonTemplate(HiggsAudioTemplate):
    """Turns a row's number into a lesson."""

    def init_processor(self, processor: Any) -> None:
        """Take the tokenizer."""
        super().init_processor(processor)
        if processor is not None:
            self._alphabet = Alphabet(self.tokenizer, self.config.audio_stream_bos_id, self.config.audio_stream_eos_id)

    def _encode_truncated(self, inputs: StdTemplateInputs) -> dict[str, Any]:
        number = int(inputs.messages[0]["content"])
        return curriculum().lesson(number, self._alphabet)

    def _data_collator_mm_data(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        padded = super()._data_collator_mm_data(batch)
        for name in ("attend", "heard"):
            padded[name] = pad_sequence([sample[name] for sample in batch], batch_first=True, padding_value=IGNORED)
        return padded

    def compute_sft_loss(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None, trainer: Any = None
    ) -> Any:
        """As the plugin's, with the figures of teaching in the log."""
        outputs = super().compute_sft_loss(model, inputs, num_items_in_batch, trainer)
        if trainer is not None:
            metrics = trainer.custom_metrics["train" if trainer.model.training else "eval"]
            for name in ("attention", "found", "sound", "token"):
                metrics[name].update(float(outputs[name]))
        return outputs


class LessonDataset(DatasetLoader):
    """As many numbers as the run has samples."""

    def load(self, dataset_syntax: Any = None, dataset_meta: Any = None, *, use_hf: bool | None = None) -> Any:
        """Rows ``0 … num_samples − 1``; the same number is the same lesson at the same stage."""
        numbers = range(curriculum().run.num_samples)
        rows = [[{"role": "user", "content": str(n)}, {"role": "assistant", "content": "-"}] for n in numbers]
        return Dataset.from_dict({"messages": rows})


class LessonCallback(TrainerCallback):
    """Moves the curriculum on, and looks at text gain now and then."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A resumed run goes on at the stage of its checkpoint."""
        curriculum().resume(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure every ``measure_every`` steps."""
        run = curriculum().run
        if state.global_step % run.measure_every == 0:
            curriculum().measure(self.trainer, state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The stage belongs to the checkpoint."""
        curriculum().save(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)


def register() -> None:
    """Make all of it known to ms-swift. Idempotent."""
    register_model(
        ModelMeta(
            NAME, [], LessonLoader, template=NAME, model_arch="higgs_audio_v2", architectures=[], is_multimodal=True
        ),
        exist_ok=True,
    )
    register_template(
        TemplateMeta(
            NAME,
            prefix=["{{SYSTEM}}"],
            prompt=["{{QUERY}}"],
            chat_sep=[END_OF_TURN],
            suffix=[END_OF_TURN],
            template_cls=LessonTemplate,
        ),
        exist_ok=True,
    )
    register_dataset(
        DatasetMeta(
            dataset_name=NAME,
            ms_dataset_id=NAME,
            hf_dataset_id=NAME,
            loader=LessonDataset,  # type: ignore[arg-type]  annotated as an instance, used as a class
            subsets=[],
        ),
        exist_ok=True,
    )
    callbacks_map[NAME] = LessonCallback


register()
