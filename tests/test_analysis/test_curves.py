import json
import runpy

import numpy as np
import pytest
from conftest import REPO
from matplotlib.image import imread

from fishnet_mmdet.errors import FishNetError

TOOL = REPO / 'tools/plot_curves.py'


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


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


def test_command(command, resumed, tmp_path):
    out = command(TOOL, resumed)
    assert out.splitlines()[-1] == str(resumed / 'curves.png')
    image = imread(resumed / 'curves.png')[..., :3]
    height, width = image.shape[:2]
    assert 1000 < width < 2500 and 400 < height < 1200
    for half in (image[:, : width // 2], image[:, width // 2 :]):
        coloured = half.max(axis=2) - half.min(axis=2) > 0.3
        assert 0.0005 < coloured.mean() < 0.2
        assert (half == 1).all(axis=2).mean() > 0.7


def test_no_run(command):
    out = command(TOOL, 'nowhere', status=1)
    assert 'Traceback' not in out
    message = out[out.index('error: ') :]
    assert 'nowhere' in message and '--work-dir' in message


def test_out(tool, monkeypatch, resumed, tmp_path, capsys):
    out = tmp_path / 'other.png'
    monkeypatch.setattr('sys.argv', [str(TOOL), str(resumed), '--out', str(out)])
    tool['main']()
    assert capsys.readouterr().out == f'{out}\n'
    assert imread(out).min() < 0.5
    assert not (resumed / 'curves.png').exists()


def test_picture_that_cannot_be_written(tool, monkeypatch, resumed):
    monkeypatch.setattr('sys.argv', [str(TOOL), str(resumed), '--out', 'no_folder/curves.png'])
    with pytest.raises(FishNetError, match=r'no_folder/curves\.png'):
        tool['main']()


def test_later_start_replaces_what_it_does_again(tool, resumed):
    training, validation = tool['read_run'](resumed)
    assert [(record['step'], record['loss']) for record in training] == [(10, 3.0), (20, 2.0), (30, 1.0)]
    assert [(record['step'], record['coco/bbox_mAP']) for record in validation] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_resumed_epoch_without_scores_yet(tool, resumed):
    write_start(resumed, '20240103_000000', losses(20, 2, 5.0))
    training, validation = tool['read_run'](resumed)
    assert [(record['step'], record['loss']) for record in training] == [(10, 3.0), (20, 5.0)]
    assert [record['step'] for record in validation] == [1]


def test_start_that_logged_nothing_changes_nothing(tool, resumed):
    before = tool['read_run'](resumed)
    write_start(resumed, '20240103_000000')
    assert tool['read_run'](resumed) == before


def test_line_still_being_written(tool, resumed):
    file = resumed / '20240102_000000' / 'vis_data' / 'scalars.json'
    file.write_text(file.read_text() + '{"lr": 0.0')
    assert [record['step'] for record in tool['read_run'](resumed)[0]] == [10, 20, 30]


def test_damaged_line(tool, resumed):
    file = resumed / '20240101_000000' / 'vis_data' / 'scalars.json'
    lines = file.read_text().splitlines()
    file.write_text('\n'.join([lines[0], lines[1][:20], *lines[2:]]))
    with pytest.raises(FishNetError, match=r'20240101_000000/vis_data/scalars\.json, line 2 '):
        tool['read_run'](resumed)


def test_files_without_losses_or_scores(tool, tmp_path):
    write_start(tmp_path, '20240101_000000', dict(time=1.0, step=1))
    with pytest.raises(FishNetError, match='nothing to draw'):
        tool['read_run'](tmp_path)


def curves(ax):
    return {line.get_label(): np.array(line.get_xydata()).tolist() for line in ax.lines if line.get_label()[0] != '_'}


def test_curves(tool, resumed):
    figure = tool['draw_curves'](*tool['read_run'](resumed))
    left, right, rate = figure.axes
    drawn = curves(left)
    assert drawn['total loss'] == [[10, 3.0], [20, 2.0], [30, 1.0]]
    assert np.allclose(drawn['loss_cls'], [[10, 1.8], [20, 1.2], [30, 0.6]])
    assert set(drawn) == {'total loss', 'loss_cls', 'loss_bbox', 'learning rate'}
    assert rate.lines[0].get_xydata().tolist() == [[10, 0.02], [20, 0.02], [30, 0.02]]
    assert set(curves(right)) == {f'{name}: 0.300' for name in ('bbox AP', 'bbox AP50', 'segm AP', 'segm AP50')}
    assert not left.texts and not right.texts


def test_diverged_run_and_no_validation_are_shown(tool, tmp_path):
    write_start(tmp_path, '20240101_000000', losses(10, 1), losses(20, 1, float('nan')), losses(30, 1, float('nan')))
    figure = tool['draw_curves'](*tool['read_run'](tmp_path))
    assert 'iteration 20' in figure.axes[0].texts[0].get_text()
    assert 'no validation' in figure.axes[1].texts[0].get_text()
    figure.savefig(tmp_path / 'curves.png')


def test_nothing_but_scores_or_nan(tool, tmp_path):
    write_start(tmp_path, '20240101_000000', scores(1, 0.5))
    tool['draw_curves'](*tool['read_run'](tmp_path)).savefig(tmp_path / 'curves.png')
    write_start(tmp_path, '20240102_000000', losses(10, 1, float('nan')))
    tool['draw_curves'](*tool['read_run'](tmp_path)).savefig(tmp_path / 'curves.png')
