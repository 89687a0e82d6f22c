"""Reading files: checkpoints of both formats; all else ends in one clear message, and nothing in it is run."""

import hashlib
import os
import pickle
import sys

import numpy as np
import pytest
import torch
from conftest import needs_2_6
from mmengine.logging import HistoryBuffer, MessageHub
from released import save_released
from safetensors.torch import save_file

from fishnet_mmdet.checkpoints import allow_training_state, read_checkpoint
from fishnet_mmdet.checkpoints.reading import file_format, weights_in
from fishnet_mmdet.errors import FishNetError

HTML = '<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Too many requests</body></html>\n'


class Running:
    """Runs something when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class Own:
    pass


def refused(file):
    """The message that a file is refused with, without the file's name."""
    with pytest.raises(FishNetError) as error:
        read_checkpoint(file)
    message = str(error.value)
    assert str(file) in message
    assert '\n' not in message
    return message.replace(str(file), '')


def weights():
    random = np.random.RandomState(0)
    return {name: torch.from_numpy(random.standard_normal((3, 4))) for name in ('a.weight', 'b.weight')}


@pytest.fixture
def safe_globals():
    """Puts back what torch.load may read."""
    before = torch.serialization.get_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.fixture
def hub(tmp_path):
    """What mmengine's Runner keeps beside the weights."""
    hub = MessageHub(f'written_{tmp_path.name}')
    for loss in (0.5, np.float64(0.25), np.float32(0.125)):
        hub.update_scalar('train/loss', loss, 3)
    hub.update_info('epoch', 1)
    hub.update_info('best', np.float64(0.5))
    hub.update_info('dataset_meta', dict(classes=('square', 'disc')))
    return hub


@pytest.mark.parametrize('legacy', [True, False])
@pytest.mark.parametrize('as_text', [True, False])
def test_reads_both_formats(legacy, as_text, tmp_path):
    file = tmp_path / 'released.tar'
    save_released(weights(), file, legacy=legacy)
    checkpoint = read_checkpoint(str(file) if as_text else file)
    assert checkpoint['epoch'] == 100
    assert checkpoint['best_prec1'] == 78
    assert list(checkpoint['state_dict']) == ['module.a.weight', 'module.b.weight']
    for name, tensor in weights().items():
        assert torch.equal(checkpoint['state_dict'][f'module.{name}'], tensor)


def test_no_such_file(tmp_path):
    assert 'there is no checkpoint file' in refused(tmp_path / 'none.pth')


def test_a_folder_is_no_file(tmp_path):
    assert 'is a folder' in refused(tmp_path)


@pytest.fixture
def somebody_else():
    """Lets the test go on as a user without rights on its files."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_a_file_that_may_not_be_read(tmp_path, somebody_else):
    file = tmp_path / 'secret.pth'
    if os.geteuid() != 65534:
        file.write_bytes(b'x')
        file.chmod(0)
    assert 'may not be read' in refused(file)


@pytest.mark.parametrize(
    'content',
    [
        b'',
        HTML.encode(),
        b'Not Found\n',
        b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 99\n',
        b'{"message": "404"}',
        b'\x89PNG\r\n\x1a\n' + bytes(100),
        bytes(1000),
        b'PK\x03\x04' + bytes(1000),
        np.random.RandomState(0).bytes(10000),
    ],
    ids=['empty', 'html', 'text', 'lfs', 'json', 'png', 'zeros', 'zip', 'noise'],
)
def test_something_else_is_no_checkpoint(content, tmp_path):
    file = tmp_path / 'download.tar'
    file.write_bytes(content)
    assert 'is not a checkpoint' in refused(file)


@pytest.mark.parametrize(
    'content, word',
    [
        (b'', 'empty'),
        (HTML.encode(), 'page of HTML'),
        (b'\xef\xbb\xbf\r\n <HTML><body>', 'page of HTML'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 99\n', 'git lfs pull'),
        (b'<weights', 'download or copy it again'),
    ],
)
def test_what_the_file_seems_to_be_is_said(content, word, tmp_path):
    file = tmp_path / 'download.tar'
    file.write_bytes(content)
    assert word in refused(file)


@pytest.mark.parametrize('text', ['error code: 1010', 'access denied', 'bad gateway', 'unauthorized', 'Rate limit'])
def test_a_text_is_no_checkpoint_whatever_its_first_letter(text, tmp_path):
    file = tmp_path / 'download.tar'
    file.write_text(text)
    assert 'is not a checkpoint' in refused(file)


@pytest.mark.parametrize(
    'legacy',
    [
        True,
        False,
    ],
)
def test_a_file_that_was_cut_off_anywhere(legacy, tmp_path):
    file = tmp_path / 'whole.tar'
    save_released(weights(), file, legacy=legacy)
    content = file.read_bytes()
    file = tmp_path / 'download.tar'
    for length in {*range(0, len(content), 7), len(content) - 1}:
        file.write_bytes(content[:length])
        assert 'is not a checkpoint' in refused(file)


@pytest.mark.parametrize('legacy', [True, False])
def test_a_file_that_was_cut_off_in_the_weights(legacy, tmp_path):
    file = tmp_path / 'download.tar'
    save_released({'a': torch.ones(1000)}, file, legacy=legacy)
    file.write_bytes(file.read_bytes()[:-2000])
    assert 'cut off' in refused(file)


@pytest.mark.parametrize('content', [[1, 2], (), torch.ones(3), 'text'], ids=['list', 'tuple', 'tensor', 'str'])
@pytest.mark.parametrize('legacy', [True, False])
def test_something_else_that_torch_saved_is_no_checkpoint(content, legacy, tmp_path):
    torch.save(content, tmp_path / 'x.pth', _use_new_zipfile_serialization=not legacy)
    assert type(content).__name__ in refused(tmp_path / 'x.pth')


def save_running(file, way, function, *args):
    content = dict(state_dict=weights(), arch=Running(function, *args))
    if way.startswith('pickle'):
        file.write_bytes(pickle.dumps(content['arch'], protocol=int(way[-1])))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=way == 'zip')


def calls(trace):
    """Calls that leave a trace, and how they are named in a file."""
    return {
        'system': (os.system, f'touch {trace}'),
        'open': (open, str(trace), 'w'),
        'eval': (eval, f'open({str(trace)!r}, "w")'),
    }


@pytest.mark.parametrize('name', ['system', 'open', 'eval'])
@pytest.mark.parametrize('way', ['zip', 'legacy', 'pickle0', 'pickle2', 'pickle4'])
def test_code_is_not_run(way, name, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    trace, file = tmp_path / 'trace', tmp_path / 'evil.tar'
    save_running(file, way, *calls(trace)[name])
    refused(file)
    assert not trace.exists()
    # The file does run its code where one lets it.
    if way.startswith('pickle'):
        pickle.loads(file.read_bytes())
    else:
        torch.load(file, weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize('name', ['system', 'open', 'eval'])
@pytest.mark.parametrize('legacy', [True, False])
def test_code_is_named(legacy, name, tmp_path):
    file = tmp_path / 'evil.tar'
    save_running(file, 'legacy' if legacy else 'zip', *calls(tmp_path / 'trace')[name])
    message = refused(file)
    assert 'code' in message and name in message
    assert 'add_safe_globals' not in message


@needs_2_6
def test_a_class_of_ones_own_is_refused(tmp_path):
    allow_training_state()
    file = tmp_path / 'x.pth'
    torch.save(dict(state_dict=weights(), config=Own()), file)
    assert 'Own' in refused(file)
    with pytest.raises(pickle.UnpicklingError, match='Own'):
        torch.load(file, weights_only=True)


@pytest.mark.parametrize(
    'number',
    [
        np.float32(0.1),
        np.float64(1e300),
        np.int64(2**40),
        np.int32(-7),
        np.bool_(True),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(3),
    ],
    ids=repr,
)
@pytest.mark.parametrize('legacy', [True, False])
@needs_2_6
def test_numbers_of_numpy_are_read_once_they_are_allowed(number, legacy, safe_globals, tmp_path):
    file = tmp_path / 'epoch_1.pth'
    torch.save(dict(number=number), file, _use_new_zipfile_serialization=not legacy)
    torch.serialization.clear_safe_globals()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)
    allow_training_state()
    for read in (torch.load(file, weights_only=True), read_checkpoint(file)):
        assert isinstance(read['number'], type(number))
        assert read['number'].dtype == number.dtype
        assert np.array_equal(read['number'], number)
        # Saved again, it is a number or array of numpy, and of no type of ours.
        again = pickle.dumps(read['number'], protocol=2)
        assert b'fishnet' not in again and type(pickle.loads(again)) is type(number)


@pytest.mark.parametrize('legacy', [True, False])
@needs_2_6
def test_training_state_is_read_once_it_is_allowed(hub, legacy, safe_globals, tmp_path):
    file = tmp_path / 'epoch_1.pth'
    content = dict(meta=dict(epoch=1), message_hub=hub.state_dict(), state_dict=weights())
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    torch.serialization.clear_safe_globals()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)
    allow_training_state()
    for checkpoint in (torch.load(file, weights_only=True), read_checkpoint(file)):
        read = MessageHub(f'read_{tmp_path.name}')
        read.load_state_dict(checkpoint['message_hub'])
        history, counts = read.get_scalar('train/loss').data
        assert history.tolist() == [0.5, 0.25, 0.125]
        assert counts.tolist() == [3, 3, 3]
        assert read.get_scalar('train/loss').mean() == pytest.approx(0.875 / 9)
        assert read.get_info('epoch') == 1
        assert read.get_info('best') == 0.5
        assert read.get_info('dataset_meta') == dict(classes=('square', 'disc'))
        for name, tensor in weights().items():
            assert torch.equal(checkpoint['state_dict'][name], tensor)


@pytest.mark.parametrize('owner, name', [(dict, 'fromkeys'), (str, 'format'), (HistoryBuffer, '__init__')])
def test_the_training_state_brings_no_other_methods(owner, name, tmp_path):
    file = tmp_path / 'evil.pth'
    save_running(file, 'zip', getattr, owner, name)
    refused(file)


def test_numbers_of_numpy_1_are_read(tmp_path):
    file = tmp_path / 'epoch_1.pth'
    torch.save(dict(a=np.arange(3), b=np.float64(0.5)), file, _use_new_zipfile_serialization=False)
    content = file.read_bytes().replace(b'cnumpy._core.multiarray\n', b'cnumpy.core.multiarray\n')
    assert b'cnumpy.core.multiarray\n' in content
    file.write_bytes(content)
    assert torch.load(file, weights_only=False)['b'] == 0.5
    assert read_checkpoint(file)['b'] == 0.5


@pytest.mark.parametrize('legacy', [True, False])
@pytest.mark.parametrize(
    'best', [np.float64(78.5), np.float32(78.5), np.array(78.5), np.array([78.5], np.float32), torch.tensor([78.5])], ids=repr
)
def test_a_released_file_with_the_accuracy_as_it_was_recorded(best, legacy, tmp_path):
    file = tmp_path / 'released.tar'
    save_released(weights(), file, legacy=legacy)
    torch.save(dict(torch.load(file, weights_only=True), best_prec1=best), file, _use_new_zipfile_serialization=not legacy)
    checkpoint = read_checkpoint(file)
    assert float(checkpoint['best_prec1'].item()) == 78.5
    assert torch.equal(checkpoint['state_dict']['module.a.weight'], weights()['a.weight'])


@pytest.mark.parametrize('legacy', [True, False])
def test_tensors_of_a_gpu_come_to_the_cpu(legacy, tmp_path, monkeypatch):
    file = tmp_path / 'gpu.tar'
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, 'location_tag', lambda storage: 'cuda:0')
        save_released(weights(), file, legacy=legacy)
    assert b'cuda:0' in file.read_bytes()
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, pickle.UnpicklingError), match='CUDA'):
            torch.load(file, weights_only=True)
    for name, tensor in weights().items():
        read = read_checkpoint(file)['state_dict'][f'module.{name}']
        assert read.device.type == 'cpu' and torch.equal(read, tensor)


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth', 'x.tar'])
def test_safetensors_are_known_by_their_content(name, tmp_path):
    given = dict(weights(), half=torch.arange(5).bfloat16(), count=torch.tensor(7))
    save_file(given, tmp_path / name, metadata=dict(arch='FishNet-99'))
    read = read_checkpoint(tmp_path / name)
    assert read['meta'] == dict(arch='FishNet-99')
    assert read['state_dict'].keys() == given.keys()
    for key, tensor in given.items():
        assert read['state_dict'][key].dtype == tensor.dtype and torch.equal(read['state_dict'][key], tensor)


def test_torch_files_are_known_by_their_content(tmp_path):
    torch.save(weights(), tmp_path / 'x.safetensors')
    assert torch.equal(read_checkpoint(tmp_path / 'x.safetensors')['a.weight'], weights()['a.weight'])


def test_the_formats_are_told_apart(tmp_path):
    torch.save(weights(), tmp_path / 'new')
    save_released(weights(), tmp_path / 'old')
    save_file(weights(), tmp_path / 'safe')
    formats = [file_format(tmp_path / name) for name in ('new', 'old', 'safe')]
    assert formats == ['torch.save', 'torch.save from before PyTorch 1.6', 'safetensors']


def test_safetensors_that_were_cut_off_anywhere(tmp_path):
    save_file(weights(), tmp_path / 'whole')
    content = (tmp_path / 'whole').read_bytes()
    for length in {*range(0, len(content), 7), len(content) - 1}:
        (tmp_path / 'cut').write_bytes(content[:length])
        assert 'is not a checkpoint' in refused(tmp_path / 'cut')


def test_a_header_of_safetensors_that_takes_too_much_memory(tmp_path):
    (tmp_path / 'x').write_bytes((1 << 25).to_bytes(8, 'little') + b'{"a":' + b' ' * (1 << 25))
    assert 'is not a checkpoint' in refused(tmp_path / 'x')


def test_the_hash_in_the_name_of_safetensors_is_checked(tmp_path):
    save_file(weights(), tmp_path / 'x')
    content = bytearray((tmp_path / 'x').read_bytes())
    file = tmp_path / f'x-{hashlib.sha256(content).hexdigest()[:8]}.safetensors'
    file.write_bytes(content)
    assert torch.equal(read_checkpoint(file)['state_dict']['a.weight'], weights()['a.weight'])
    content[-1] ^= 1
    file.write_bytes(content)
    assert 'invalid hash' in refused(file)


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / 'x.pth')
    (tmp_path / 'zero.pth').symlink_to('/dev/zero')
    for name in ('x.pth', 'zero.pth'):
        assert 'is a pipe, socket or device' in refused(tmp_path / name)


@pytest.mark.parametrize('key', [5, None, (('a',),)])
def test_names_of_tensors_are_texts(key):
    with pytest.raises(FishNetError, match=f'x.pth has a {type(key).__name__} as the name of a tensor'):
        weights_in({'a': torch.ones(1), key: torch.ones(1)}, 'x.pth')


def test_names_of_tensors_are_no_novels():
    with pytest.raises(FishNetError, match='names a tensor with 5,000,000 characters') as error:
        weights_in({'a' * 5_000_000: torch.ones(1)}, 'x.pth')
    assert len(str(error.value)) < 300


def test_safetensors_without_the_library(tmp_path, monkeypatch):
    save_file(weights(), tmp_path / 'x.pth')
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    assert 'pip install safetensors' in refused(tmp_path / 'x.pth')


@pytest.mark.parametrize('content', [{}, {'model': {'a': torch.ones(1)}}, {'state_dict': {'a': 1}}, {'state_dict': None}])
def test_a_checkpoint_without_weights_is_refused_with_what_it_has(content, tmp_path):
    with pytest.raises(FishNetError, match='x.pth holds no weights.*' + '.*'.join(content)):
        weights_in(content, 'x.pth')
