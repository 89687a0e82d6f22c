"""Exports detectors of every kind, and compares what the files find with what PyTorch finds.

    python tests/exported_equality.py --work-dir work_dirs/exported -o docs/results/exported.json

trains what is missing in the work dir (tests/exported_models.py; about 3 minutes a detector on 1 core), exports it, and goes
through the 40 validation images of the demo, and those of --images. It prints the table of docs/deployment.md.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import cv2
import onnx
import torch
from exported_models import CONFIGS, ROOT, SHAPES, WEIGHTS, panoptic_data
from mmdet.structures.mask import encode_mask_results
from mmengine.config import Config
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fishnet_mmdet.commands.infer import find_images
from fishnet_mmdet.deploy.export import export, save_as
from fishnet_mmdet.deploy.export.comparing import Outputs, Session, by_pytorch, compare, worst
from fishnet_mmdet.inference import Predictor

NUCLEI = ROOT / 'demo/nuclei'


class Model(NamedTuple):
    """A model that is compared."""

    name: str
    config: Path
    checkpoint: Path


def trained(name: str, work_dir: Path) -> Model:
    """A model of ``CONFIGS``, trained if it is not yet."""
    config = work_dir / f'{name}.py'
    cfg = CONFIGS[name]()
    cfg.work_dir = str(work_dir / name)
    work_dir.mkdir(parents=True, exist_ok=True)
    cfg.dump(config)
    if name in WEIGHTS:
        checkpoint = work_dir / f'{name}.pth'
        torch.save(WEIGHTS[name](), checkpoint)
        return Model(name, config, checkpoint)
    last = work_dir / name / 'last_checkpoint'
    if not last.is_file():
        if name == 'panoptic_fpn':
            panoptic_data(SHAPES)
        subprocess.run([sys.executable, str(ROOT / 'tools/train.py'), str(config)], check=True, cwd=ROOT)
    return Model(name, config, Path(last.read_text()))


def weights_of(model: torch.nn.Module) -> int:
    """Bytes of the weights in float32, with the statistics of batch norms."""
    tensors = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    return sum(4 * tensor.numel() for tensor in tensors)


def to_coco(image_id: int, found: Outputs) -> List[dict]:
    """Objects as pycocotools takes them."""
    results = []
    for i, (x1, y1, x2, y2) in enumerate(found['boxes'].tolist()):
        box = [x1, y1, x2 - x1, y2 - y1]
        result = dict(image_id=image_id, category_id=int(found['labels'][i]) + 1, score=float(found['scores'][i]), bbox=box)
        if 'masks' in found:
            result['segmentation'] = encode_mask_results([found['masks'][i].astype(bool)])[0]
        results.append(result)
    return results


def average_precision(truth: COCO, results: List[dict]) -> float:
    """AP of masks, or of boxes where there are none, in percent."""
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        kind = 'segm' if 'segmentation' in results[0] else 'bbox'
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.params.maxDets = [100, 300, 1000]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval['precision'][..., 0, -1]
    return 100 * float(precision[precision > -1].mean())


def measure(model: Model, folders: Dict[str, Path], where: str, precision: str, out: Path) -> dict:
    """Exports a model, and compares it with PyTorch on images. Returns a row of the table."""
    cfg = Config.fromfile(model.config)
    predictor = Predictor(cfg, str(model.checkpoint), 'cpu')
    exported = export(predictor.model, cfg, where)
    file = out / f'{model.name}-{where}-{precision}.onnx'
    calibration = find_images(NUCLEI / 'train')[::2]
    save_as(exported, precision, file, calibration)
    session = Session(onnx.load(file))
    row = dict(
        model=model.name, where=where, precision=precision, file=file.stat().st_size, weights=weights_of(predictor.model)
    )
    truth = COCO(str(NUCLEI / 'annotations/instances_val.json'))
    ids = {image['file_name']: image['id'] for image in truth.dataset['images']}
    for name, folder in folders.items():
        differences, theirs, ours = [], [], []
        for image_file in find_images(folder)[:40]:
            image = cv2.imread(str(image_file))
            one, other = by_pytorch(predictor, image), session(image)
            differences.append(compare(one, other))
            if folder == NUCLEI / 'val' and 'boxes' in one:
                theirs += to_coco(ids[image_file.name], one)
                ours += to_coco(ids[image_file.name], other)
        row[name] = dict(images=len(differences), **worst(differences)._asdict())
        if theirs:
            row['ap'] = dict(pytorch=average_precision(truth, theirs), onnx=average_precision(truth, ours))
    return row


def table(rows: List[dict], name: str) -> str:
    """The rows in Markdown, for one folder of images."""
    lines = [
        '| model | precision | images | objects in both | in one only | boxes, pixels | scores | masks, IoU '
        '| AP PyTorch | AP file | file / weights |',
        '|---|---|---|---|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        d, ap = row[name], row.get('ap') if name == 'nuclei' else None
        aps = f'{ap["pytorch"]:.2f} | {ap["onnx"]:.2f}' if ap else ' | '
        lines.append(
            f'| {row["model"]} | {row["precision"]} | {d["images"]} | {d["objects"]} | {d["alone"]} | {d["box"]:.1e} '
            f'| {d["score"]:.1e} | {d["mask"]:.4f} | {aps} | {row["file"] / 1e6:.1f} / {row["weights"] / 1e6:.1f} MB |'
        )
    return '\n'.join(lines)


def main(argv: Optional[List[str]] = None) -> None:
    """Measures all models, and saves the rows after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/exported'), help='trained models and exported files')
    parser.add_argument('--models', nargs='+', default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument('--checkpoint', nargs=3, action='append', default=[], metavar=('NAME', 'CONFIG', 'CHECKPOINT'))
    parser.add_argument('--images', nargs=2, action='append', default=[], metavar=('NAME', 'DIR'), help='more images')
    parser.add_argument('--where', default='inside', choices=['inside', 'beside'])
    parser.add_argument('--precision', default='float32', choices=['float32', 'float16', 'int8'])
    parser.add_argument('-o', '--out', type=Path, help='JSON file; rows of other models in it stay')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    folders = {'nuclei': NUCLEI / 'val', **{name: Path(folder) for name, folder in args.images}}
    models = [trained(name, args.work_dir) for name in args.models]
    models += [Model(name, Path(config), Path(checkpoint)) for name, config, checkpoint in args.checkpoint]
    rows = json.loads(args.out.read_text()) if args.out and args.out.is_file() else []
    for model in models:
        row = measure(model, folders, args.where, args.precision, args.work_dir)
        key = ('model', 'where', 'precision')
        rows = [old for old in rows if any(old[name] != row[name] for name in key)] + [row]
        print(json.dumps(row), flush=True)
        if args.out:
            args.out.write_text(json.dumps(rows, indent=1) + '\n')
    for name in folders:
        print(f'\n{name}\n{table([row for row in rows if name in row], name)}')


if __name__ == '__main__':
    main()
