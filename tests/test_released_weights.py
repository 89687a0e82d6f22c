"""The count of errors of published weights, on images and a file of our own."""

import cv2
import numpy as np
import released_weights
from released import released_weights as weights_by_rule
from released import save_released


def test_errors_are_counted(tmp_path, monkeypatch, capsys):
    weights = weights_by_rule(99)
    (name,) = (name for name, tensor in weights.items() if tensor.shape == (1000,))
    weights[name].zero_()[217] = 1e6  # every image is a spaniel
    save_released(weights, tmp_path / 'x.tar')
    for number, folder in enumerate(released_weights.CLASSES):
        (tmp_path / folder).mkdir()
        for image in range(2 if folder == 'n02102040' else 1):
            cv2.imwrite(str(tmp_path / folder / f'{image}.jpg'), np.full((32, 40, 3), 20 * number, np.uint8))
    monkeypatch.setattr(released_weights, 'find', lambda name: tmp_path / 'x.tar')
    assert released_weights.main([str(tmp_path), 'fishnet99']) == 1
    assert 'fishnet99: top-1 error 81.82 % on 11 images' in capsys.readouterr().out
    monkeypatch.setattr(released_weights, 'CLASSES', dict(n02102040=217))
    assert released_weights.main([str(tmp_path), 'fishnet99']) == 0
    assert 'top-1 error 0.00 % on 2 images' in capsys.readouterr().out
    # A file that does not fit is a message, and the next is tried.
    assert released_weights.main([str(tmp_path), 'fishnet201', 'fishnet99']) == 1
    misfit, right = (line for line in capsys.readouterr().out.splitlines() if line.startswith('fishnet'))
    assert 'does not fit' in misfit and 'error 0.00 %' in right
