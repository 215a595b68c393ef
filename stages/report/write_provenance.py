"""Writes provenance.json: everything needed to reproduce the results of an experiment."""

import json
from pathlib import Path

from stages.errors import SettingsError
from stages.files import write_json
from stages.methods import methods_used
from stages.program import clone
from stages.report.provenance import (
    commit_of,
    file_checksums,
    hardware,
    mended_checksums,
    split_checksums,
    versions,
)
from stages.runtime.command import main, parser


def run(arguments: list[str] | None = None) -> None:
    command = parser(
        __doc__, "results", "root", many=("indexes", "inputs", "outputs"), outputs=("output",), settings=False
    )
    command.add_argument("--config", required=True, help="all settings of the experiment, as JSON")
    command.add_argument("--mended", type=Path, help="list of the masks mended by hand")
    args = command.parse_args(arguments)
    try:
        config = json.loads(args.config)
    except json.JSONDecodeError as error:
        raise SettingsError(f"--config is not JSON ({error}); give all settings as one value") from error
    mended = {"mended": mended_checksums(args.mended, args.results)} if args.mended else {}
    write_json(
        args.output,
        {
            "experiment": config.get("experiment"),
            "seed": config.get("seed"),
            "seeds_of_tables": config.get("compare", {}).get("seeds"),
            "methods": methods_used(config),
            "program": commit_of(clone()),
            "hardware": hardware(),
            "splits": {index.stem: split_checksums(index, args.root) for index in args.indexes},
            **mended,
            "inputs_sha256": file_checksums(args.inputs, args.results),
            "outputs_sha256": file_checksums(args.outputs, args.results),
            "settings": config,
            "versions": versions(),
        },
    )


if __name__ == "__main__":
    main(run)
