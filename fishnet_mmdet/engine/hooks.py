"""Hooks of the Runner."""

from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..datasets import ObjectCrops
from ..datasets.reading import FaultyImages, LoadImage, SkipThin
from ..errors import FishNetError
from ..models import untrained_frozen_norm


@HOOKS.register_module()
class StopGradClipHook(Hook):
    """Ends gradient clipping after some epochs: the paper clips in the first 2 epochs only (section 4.4).

    The clipping itself is ``optim_wrapper.clip_grad``. It depends on the epoch's number alone, so it is right after
    ``--resume`` too.

    Args:
        after_epochs (int): Number of epochs with clipping.
    """

    def __init__(self, after_epochs: int) -> None:
        self.after_epochs = after_epochs

    def before_train(self, runner: Runner) -> None:
        """Checks that there is a clipping to stop.

        Raises:
            FishNetError: If ``optim_wrapper`` has no ``clip_grad``.
        """
        if not getattr(runner.optim_wrapper, 'clip_grad_kwargs', None):
            raise FishNetError(
                'StopGradClipHook needs a clipping to stop: set optim_wrapper.clip_grad=dict(max_norm=...), or '
                'take the hook out of custom_hooks'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Takes the clipping away once its epochs are over."""
        if runner.epoch >= self.after_epochs:
            runner.optim_wrapper.clip_grad_kwargs = None


@HOOKS.register_module()
class CheckFrozenNormHook(Hook):
    """Stops a training that would fail: frozen BN in a FishNet with random weights."""

    # At this point load_from and --resume have loaded their checkpoint, which may hold the statistics.
    def before_train(self, runner: Runner) -> None:
        """Checks the statistics that training starts with.

        Raises:
            FishNetError: If a FishNet of the model has frozen BN and random weights.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if problem := untrained_frozen_norm(model):
            raise FishNetError(problem)


class RecordCategoryIdsHook(Hook):
    """Saves the category ids of the training data in checkpoints, so that predictions carry them.

    mmdet numbers the classes of a data set in COCO's format by itself, and keeps no ids of its file. Checkpoints have the
    data set's ``metainfo`` as ``dataset_meta``; this hook adds ``category_ids`` to it, one id for each class.
    """

    def before_train(self, runner: Runner) -> None:
        """Reads the ids of the data set, which may be wrapped."""
        record_category_ids(runner.train_dataloader.dataset)


def record_category_ids(dataset) -> None:
    """Adds the category ids of a data set, or of the first one in a wrapper, to its ``metainfo``."""
    innermost = dataset
    while not hasattr(innermost, 'cat_ids') and (hasattr(innermost, 'datasets') or hasattr(innermost, 'dataset')):
        innermost = innermost.datasets[0] if hasattr(innermost, 'datasets') else innermost.dataset
    ids = getattr(innermost, 'cat_ids', None)
    if ids is not None and len(ids) == len(dataset.metainfo.get('classes') or ()):
        dataset._metainfo['category_ids'] = list(ids)


class FaultyImagesHook(Hook):
    """Skips and names faulty images in training, and stops a validation or test at the first one.

    It changes the data sets that the Runner has built, before their workers start: a config that a run saves names mmcv's own
    ``LoadImageFromFile``, for which other tools look.
    """

    def before_train(self, runner: Runner) -> None:
        """Lets training skip faulty images."""
        watch_images(runner.train_dataloader.dataset, skip=True)

    def before_val(self, runner: Runner) -> None:
        """Lets validation stop at a faulty image."""
        watch_images(runner.val_dataloader.dataset, skip=False)

    def before_test(self, runner: Runner) -> None:
        """Lets the test stop at a faulty image."""
        watch_images(runner.test_dataloader.dataset, skip=False)


def watch_images(dataset: object, skip: bool) -> None:
    """Makes a data set notice faulty images.

    Args:
        dataset: A data set, or a wrapper around some (``ConcatDataset``, ``RepeatDataset`` ...).
        skip (bool): Whether to skip faulty images. If not, the first one is an error.
    """
    for inner in [*getattr(dataset, 'datasets', ()), *([dataset.dataset] if hasattr(dataset, 'dataset') else ())]:
        watch_images(inner, skip)
    if isinstance(dataset, ObjectCrops):
        dataset.faulty_images = FaultyImages(skip)
    elif isinstance(dataset, BaseDataset):
        transforms, faulty = dataset.pipeline.transforms, FaultyImages(skip)
        for at, transform in enumerate(transforms):
            # A subclass may read other files, and these arguments have no meaning here.
            if type(transform) is LoadImageFromFile and not (transform.file_client_args or transform.ignore_empty):
                transforms[at] = LoadImage(transform, faulty)
            elif 'Resize' in type(transform).__name__:
                transforms[at] = SkipThin(transform, faulty)
