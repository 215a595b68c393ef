"""The display of `tagmask run` for Snakemake, which takes packages of such names on the path for logger plugins."""

from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Snakemake's events as one line per stage (`stages.cli.display`)."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        from stages.cli.display import Display, terminal  # rich; every Snakemake imports this module

        self._display = Display(terminal(), say=self.format)

    def emit(self, record: LogRecord) -> None:
        try:
            self._display.take(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._display.close()
        super().close()
