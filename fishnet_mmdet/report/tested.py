"""The report of a test: what the evaluator saw, kept for the page."""

from pathlib import Path
from typing import Dict, Optional, Sequence

import numpy as np
from mmdet.evaluation import CocoMetric, LVISMetric
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner

from ..engine import Accuracy
from ..errors import FishNetError
from .classification import SHOWN, ClassifiedImage, write_classes
from .coco import recorded_evaluations
from .detection import KINDS, ImageResult, Truth, write_detections
from .facts import facts_of_run
from .site import Site


class Kept(BaseMetric):
    """A metric without numbers: it keeps what the evaluator's metric keeps of each image, and its file.

    Attributes:
        images (list[dict]): After the test, in the main process: what was found in each image.

    Args:
        metric (CocoMetric, optional): The metric; none for a classifier.
    """

    default_prefix = 'report'

    def __init__(self, metric: Optional[CocoMetric] = None) -> None:
        super().__init__()
        self.metric = metric
        self.images: Sequence[dict] = []

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keeps the predictions of a batch. CocoMetric comes before, and has encoded the masks.

        Raises:
            FishNetError: If the test pipeline does not pass on the files of the images.
        """
        if self.metric is None:
            for sample in data_samples:
                scores, labels = sample['scores'].topk(min(SHOWN, len(sample['scores'])))
                self.results.append(dict(label=sample['label'], best=labels.cpu().numpy(), scores=scores.cpu().numpy()))
            return
        for sample, (_, found) in zip(data_samples, self.metric.results[-len(data_samples) :]):
            if 'img_path' not in sample:
                raise FishNetError("--report needs the files of the images: add 'img_path' to meta_keys of PackDetInputs")
            self.results.append(dict(found, path=sample['img_path']))

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Takes the results of all processes."""
        self.images = results
        return {}


class TestReport:
    """A test whose results are written as a page.

    Args:
        runner (Runner): The runner, before its test.
        folder (Path): The folder of the page.

    Raises:
        FishNetError: If there is no report for the evaluator of the runner, or the folder cannot be used.
    """

    __test__ = False  # pytest takes classes that begin with Test for its own

    def __init__(self, runner: Runner, folder: Path) -> None:
        self.runner = runner
        metrics = runner.test_evaluator.metrics
        self.metric = next((metric for metric in metrics if can_be_shown(metric)), None)
        if self.metric is None:
            raise FishNetError(
                f'--report has no page for {", ".join(type(metric).__name__ for metric in metrics)}: it shows what CocoMetric '
                '(bbox or segm, without format_only and use_mp_eval) or Accuracy evaluates; test without --report'
            )
        if getattr(runner.test_dataloader.sampler, 'shuffle', False):
            raise FishNetError('--report needs the images in their order: set test_dataloader.sampler.shuffle=False')
        if is_main_process():
            self.site = Site(folder)
        self.kept = Kept(None if isinstance(self.metric, Accuracy) else self.metric)
        metrics.append(self.kept)

    def test(self, checkpoint: str) -> Optional[Path]:
        """Tests, and writes the page in the main process.

        Args:
            checkpoint (str): The checkpoint that is tested.

        Returns:
            Path | None: The page; None in other processes.
        """
        with recorded_evaluations() as evaluations:
            self.runner.test()
        if not is_main_process():
            return None
        facts = facts_of_run(self.runner.cfg, checkpoint)
        classes = self.runner.test_dataloader.dataset.metainfo['classes']
        if isinstance(self.metric, Accuracy):
            return write_classes(self.site, self.classified(), classes, facts)
        images = [image_result(found, 'segm' in evaluations) for found in self.kept.images]
        truth = Truth(self.metric._coco_api, self.metric.cat_ids, evaluations)
        return write_detections(self.site, images, classes, facts, truth)

    def classified(self) -> Sequence[ClassifiedImage]:
        """The images of a classifier, which are those of the data set in its order."""
        dataset = self.runner.test_dataloader.dataset

        def image(number, found):
            path = dataset.get_data_info(number).get('img_path')
            name = Path(path).name if path else f'image {number}'
            return ClassifiedImage(
                name, lambda: network_input(dataset, number), found['best'], found['scores'], found['label']
            )

        return [image(number, found) for number, found in enumerate(self.kept.images)]


def can_be_shown(metric: BaseMetric) -> bool:
    """Whether there is a page for what a metric evaluates. LVIS has its own rules of what a false find is."""
    if isinstance(metric, LVISMetric):
        return False
    if isinstance(metric, CocoMetric):
        return not (metric.format_only or metric.use_mp_eval) and any(kind in KINDS for kind in metric.metrics)
    return isinstance(metric, Accuracy)


def image_result(found: dict, masks: bool) -> ImageResult:
    """What CocoMetric keeps of an image. Some detectors have scores for masks that differ from those for boxes."""
    scores = found.get('mask_scores', found['scores']) if masks else found['scores']
    return ImageResult(found['img_id'], found['path'], found['labels'], scores, found['bboxes'], found.get('masks'))


def network_input(dataset, number: int) -> np.ndarray:
    """What a classifier sees of an image, cropped and resized: (h, w, 3), BGR."""
    return dataset[number]['inputs'].permute(1, 2, 0).numpy().clip(0, 255).astype(np.uint8)
