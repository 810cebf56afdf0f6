"""What training writes after each epoch: a line of the train log, and TensorBoard's figures."""

from pathlib import Path

from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)

from local.atomic import replacing
from local.machine import processes


@register_checkpoint_hooks
class TrainLog:
    """SpeechBrain's file and TensorBoard loggers, for runs that are interrupted and go on.

    In the checkpoints is the train log as it was: no line of it comes twice.

    Arguments
    ---------
    file_logger : speechbrain.utils.train_logger.FileTrainLogger
    make_tensorboard : callable
        Makes the TensorboardLogger when training begins.
    warning : str
        For the first line of the file; "" if there is nothing to warn of.
    """

    def __init__(self, file_logger, make_tensorboard, warning=""):
        self.file_logger = file_logger
        self.path = Path(file_logger.save_file)
        self._make_tensorboard = make_tensorboard
        self._warning = warning
        self._tensorboard = None

    def open(self):
        """Called before the first epoch; a new log begins with the warning."""
        is_new = not self.path.exists() or not self.path.stat().st_size
        if is_new and self._warning and processes.rank() == 0:
            self.path.write_text(f"warning: {self._warning}\n", encoding="utf-8")
        self._tensorboard = self._make_tensorboard()

    def log(self, epoch, meta, train, valid):
        """Writes an epoch. In all processes: SpeechBrain has them wait for the first one.

        Arguments
        ---------
        epoch : int
        meta, train, valid : dict
            Name -> number.
        """
        stats = {
            "stats_meta": {"epoch": epoch} | meta,
            "train_stats": train,
            "valid_stats": valid,
        }
        self.file_logger.log_stats(**stats)
        # TensorBoard's counts from 0 in each process: a resumed run must go on where it was.
        steps = dict.fromkeys([*train, *valid], epoch - 1)
        self._tensorboard.global_step = {"meta": epoch - 1, "train": {**steps}, "valid": {**steps}}
        self._tensorboard.log_stats(**stats)
        if self._tensorboard.writer:
            self._tensorboard.writer.flush()

    @mark_as_saver
    def save(self, path):
        Path(path).write_bytes(self.path.read_bytes() if self.path.exists() else b"")

    @mark_as_loader
    def load(self, path, end_of_epoch):
        del end_of_epoch
        if processes.rank() == 0:
            with replacing(self.path) as temporary:
                temporary.write_bytes(Path(path).read_bytes())
