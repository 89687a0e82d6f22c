"""What was logged of a run, and its curves."""

import json

import numpy as np
import pytest

from fishnet_mmdet.analysis.curves import draw_comparison, draw_curves
from fishnet_mmdet.analysis.runs import read_run
from fishnet_mmdet.errors import FishNetError


def losses(step, epoch, scale=1.0, **more):
    parts = dict(loss_cls=0.6 * scale, loss_bbox=0.4 * scale)
    return dict(lr=0.02, loss=scale, **parts, epoch=epoch, iter=step, step=step, **more)


def scores(epoch, value):
    names = ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_s', 'segm_mAP', 'segm_mAP_50')
    return dict({f'coco/{name}': value for name in names}, step=epoch)


def write_start(work_dir, time, *records):
    file = work_dir / time / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return file


@pytest.fixture
def resumed(tmp_path):
    """Stopped in the fourth epoch, resumed after the second: the third is trained again, and scored otherwise."""
    run = tmp_path / 'run'
    write_start(
        run,
        '20240101_000000',
        losses(10, 1, 3.0),
        scores(1, 0.1),
        losses(20, 2, 2.0),
        scores(2, 0.2),
        losses(30, 3, 9.0),
        scores(3, 0.9),
        losses(40, 4, 9.0),
    )
    write_start(run, '20240102_000000', losses(30, 3, 1.0), scores(3, 0.3))
    return run


def test_later_start_replaces_what_it_does_again(resumed):
    training, validation = read_run(resumed)
    assert [(record['step'], record['loss']) for record in training] == [(10, 3.0), (20, 2.0), (30, 1.0)]
    assert [(record['step'], record['coco/bbox_mAP']) for record in validation] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_resumed_epoch_without_scores_yet(resumed):
    write_start(resumed, '20240103_000000', losses(20, 2, 5.0))
    training, validation = read_run(resumed)
    assert [(record['step'], record['loss']) for record in training] == [(10, 3.0), (20, 5.0)]
    assert [record['step'] for record in validation] == [1]


def test_start_that_logged_nothing_changes_nothing(resumed):
    before = read_run(resumed)
    write_start(resumed, '20240103_000000')
    assert read_run(resumed) == before


def test_line_still_being_written(resumed):
    file = resumed / '20240102_000000' / 'vis_data' / 'scalars.json'
    file.write_text(file.read_text() + '{"lr": 0.0')
    assert [record['step'] for record in read_run(resumed)[0]] == [10, 20, 30]


def test_damaged_line(resumed):
    file = resumed / '20240101_000000' / 'vis_data' / 'scalars.json'
    lines = file.read_text().splitlines()
    file.write_text('\n'.join([lines[0], lines[1][:20], *lines[2:]]))
    with pytest.raises(FishNetError, match=r'20240101_000000/vis_data/scalars\.json, line 2 '):
        read_run(resumed)


def test_files_without_losses_or_scores(tmp_path):
    write_start(tmp_path, '20240101_000000', dict(time=1.0, step=1))
    with pytest.raises(FishNetError, match='no .*scalars.json with losses'):
        read_run(tmp_path)


def curves(ax):
    return {line.get_label(): np.array(line.get_xydata()).tolist() for line in ax.lines if line.get_label()[0] != '_'}


def test_curves(resumed):
    figure = draw_curves(read_run(resumed))
    left, right, rate = figure.axes
    drawn = curves(left)
    assert drawn['total loss'] == [[10, 3.0], [20, 2.0], [30, 1.0]]
    assert np.allclose(drawn['loss_cls'], [[10, 1.8], [20, 1.2], [30, 0.6]])
    assert set(drawn) == {'total loss', 'loss_cls', 'loss_bbox', 'learning rate'}
    assert rate.lines[0].get_xydata().tolist() == [[10, 0.02], [20, 0.02], [30, 0.02]]
    assert set(curves(right)) == {f'{name}: 0.300' for name in ('bbox AP', 'bbox AP50', 'segm AP', 'segm AP50')}
    assert not left.texts and not right.texts


def test_diverged_run_and_no_validation_are_shown(tmp_path):
    write_start(tmp_path, '20240101_000000', losses(10, 1), losses(20, 1, float('nan')), losses(30, 1, float('nan')))
    figure = draw_curves(read_run(tmp_path))
    assert 'iteration 20' in figure.axes[0].texts[0].get_text()
    assert 'no validation' in figure.axes[1].texts[0].get_text()
    figure.savefig(tmp_path / 'curves.png')


def test_nothing_but_scores_or_nan(tmp_path):
    write_start(tmp_path, '20240101_000000', scores(1, 0.5))
    draw_curves(read_run(tmp_path)).savefig(tmp_path / 'curves.png')
    write_start(tmp_path, '20240102_000000', losses(10, 1, float('nan')))
    draw_curves(read_run(tmp_path)).savefig(tmp_path / 'curves.png')


def no_scores(epoch):
    """What mmengine logs of a validation for which mmdet's CocoMetric returned nothing."""
    return dict(data_time=0.01, time=0.1, step=epoch)


def test_validation_that_found_nothing(tmp_path):
    run = tmp_path / 'run'
    write_start(
        run, '20240101_000000', losses(10, 1), no_scores(1), losses(20, 2), scores(2, 0.2), losses(30, 3), no_scores(3)
    )
    figure = draw_curves(read_run(run))
    right = figure.axes[1]
    assert [text.get_text() for text in right.texts] == ['no object found in the validation of epoch 1, 3']
    assert all(points == [[2, 0.2]] for points in curves(right).values()) and len(curves(right)) == 4
    figure.savefig(tmp_path / 'curves.png')


def test_no_validation_found_anything(tmp_path):
    write_start(tmp_path / 'nothing', '20240101_000000', losses(10, 1), no_scores(1), losses(20, 2), no_scores(2))
    write_start(tmp_path / 'good', '20240101_000000', losses(10, 1), scores(1, 0.4))
    # COCO's -1: the validation images have no objects.
    write_start(tmp_path / 'empty', '20240101_000000', losses(10, 1), scores(1, -1.0))
    runs = {name: read_run(tmp_path / name) for name in ('nothing', 'good', 'empty')}
    for run in runs.values():
        draw_curves(run).savefig(tmp_path / 'curves.png')
    figure = draw_comparison(runs)
    figure.savefig(tmp_path / 'curves.png')
    labels = [text.get_text() for text in figure.axes[1].get_legend().texts]
    assert labels == ['nothing: no scores', 'good, bbox AP: 0.400', 'good, segm AP: 0.400', 'empty: no scores']


def test_long_names_leave_room_for_the_panels(tmp_path):
    write_start(tmp_path, '20240101_000000', losses(10, 1), scores(1, 0.4))
    run = read_run(tmp_path)
    figure = draw_comparison({f'mask_rcnn_fishnet150_nuclei_seed{seed}_bfad59e2ceb6': run for seed in range(9)})
    figure.savefig(tmp_path / 'curves.png')
    for ax in figure.axes:
        box, legend = ax.get_position(), figure.transFigure.inverted().transform_bbox(ax.get_legend().get_window_extent())
        assert box.width > 0.4 and box.height > 0.3
        assert legend.x0 > box.x0 - 0.06 and legend.x1 < box.x1 + 0.02 and legend.y0 > 0


def test_resumed_run_validates_again(resumed):
    write_start(resumed, '20240103_000000', no_scores(3))
    training, validation = read_run(resumed)
    assert [record['step'] for record in validation] == [1, 2, 3] and 'coco/bbox_mAP' not in validation[2]
    assert [record['step'] for record in training] == [10, 20, 30]
