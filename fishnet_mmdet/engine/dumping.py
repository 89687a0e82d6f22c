"""The option ``--out`` of the test command: predictions in a file."""

from typing import Optional, Sequence

import torch
from mmdet.evaluation import DumpDetResults


class DumpPredictions(DumpDetResults):
    """Saves predictions as mmdet does, with the category ids of the data beside the labels.

    Args:
        out_file_path (str): A file that ends with .pkl or .pickle.
        category_ids (Sequence[int], optional): The id of each label in the annotation file. The instances of an image then
            have ``category_ids`` (n,), int64.
        **kwargs: Other arguments of mmdet's ``DumpDetResults``.
    """

    def __init__(self, out_file_path: str, category_ids: Optional[Sequence[int]] = None, **kwargs) -> None:
        super().__init__(out_file_path, **kwargs)
        self.category_ids = category_ids

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Adds the predictions of some images."""
        first = len(self.results)
        super().process(data_batch, data_samples)
        if self.category_ids is None:
            return
        for sample in self.results[first:]:
            if 'labels' in sample.get('pred_instances', ()):
                instances = sample['pred_instances']
                instances['category_ids'] = torch.tensor(self.category_ids)[instances['labels']]
