"""``python -m studio dataset …``: named sets of utterances, from import to export."""

import typer

from studio.cli.dataset import changing, leaving, looking, making

dataset_app = typer.Typer(
    name="python -m studio",
    help="Datasets: import recordings, look at them, review, split, check, export and delete a set.",
    no_args_is_help=True,
)
_COMMANDS = {
    "import": making.import_,
    "list": looking.list_datasets,
    "show": looking.show,
    "measure": making.measure_,
    "review": looking.review,
    "validate": looking.validate,
    "split": changing.split,
    "export": leaving.export,
    "pairs": changing.pairs,
    "texts": looking.texts,
    "consent": changing.consent,
    "slice": changing.slice_,
    "add": changing.add,
    "undo": changing.undo,
    "delete": leaving.delete,
}
for _name, _command in _COMMANDS.items():
    dataset_app.command(_name)(_command)

__all__ = ["dataset_app"]
