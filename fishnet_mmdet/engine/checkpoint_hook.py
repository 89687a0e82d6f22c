"""mmengine's checkpoint hook, with another order: old checkpoints go when the new one is on the disk."""

from pathlib import Path
from typing import Dict, Optional

import mmengine.hooks
from mmengine.dist import is_main_process, master_only
from mmengine.runner import Runner

from .whole_files import remove_parts, write_text

#: The checkpoint of a run that a signal ended. The next regular checkpoint replaces it.
INTERRUPTED = 'interrupted.pth'


class CheckpointHook(mmengine.hooks.CheckpointHook):
    """Saves checkpoints as mmengine's hook does, and has the same arguments. At each moment a whole one is there."""

    def before_train(self, runner: Runner) -> None:
        """Removes what an interrupted run left half written."""
        super().before_train(runner)
        for folder in {runner.work_dir, str(self.out_dir)}:
            if is_main_process() and '://' not in folder:
                remove_parts(Path(folder))

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict]) -> None:
        """Notes that this iteration is validated, for a run that resumes from here."""
        runner.message_hub.update_info('evaluated_iter', runner.iter)
        super().after_val_epoch(runner, metrics)

    def save_interrupted(self, runner: Runner) -> None:
        """Saves the state after the present iteration."""
        meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
        self._save(runner, INTERRUPTED, meta, save_optimizer=True, save_param_scheduler=True)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = None
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            outdated = self.keep_ckpt_ids.popleft() if len(self.keep_ckpt_ids) == self.max_keep_ckpts else None
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self._save(
            runner,
            self.filename_tmpl.format(step),
            meta,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
        )
        if outdated is not None:
            self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(outdated)))
        self._remove(self.file_backend.join_path(self.out_dir, INTERRUPTED))

    def _save(self, runner: Runner, name: str, meta: dict, **what: bool) -> None:
        last = self.file_backend.join_path(self.out_dir, name)
        # The message hub is saved too, and a resumed run reads it.
        runner.message_hub.update_info('last_ckpt', last)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **what,
            **self.args,
        )
        self.last_ckpt = last
        if is_main_process():
            write_text(Path(runner.work_dir, 'last_checkpoint'), last)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Saves the best checkpoint. mmengine's hook removes the previous one first, unless it does not know it."""
        if not self.save_best:
            return
        before = self._best_paths()
        self._set_best_paths(dict.fromkeys(before))
        super()._save_best_checkpoint(runner, metrics)
        after = self._best_paths()
        self._set_best_paths({name: path or before.get(name) for name, path in after.items()})
        for name, path in before.items():
            if path and after[name] and after[name] != path:
                self._remove(path)

    def _best_paths(self) -> Dict[str, Optional[str]]:
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return {name: self.best_ckpt_path_dict.get(name) for name in self.key_indicators}

    def _set_best_paths(self, paths: Dict[str, Optional[str]]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths['']
        else:
            self.best_ckpt_path_dict.update(paths)

    @master_only
    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # of DeepSpeed
            self.file_backend.rmtree(path)
