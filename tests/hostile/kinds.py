"""The kinds of hostile and damaged checkpoints. Each function draws one file's content from hypothesis.

``KINDS`` names them; the value of a kind is (function, whether the numbers may differ: files without checksums).
"""

import io
import json
import os
import socket
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import hypothesis.strategies as st
import torch
from attacks import HUGE, calls, known_attacks, strange_tensors
from pickling import dumps, storage, tensor
from safetensors.torch import save as save_safetensors


def saved(weights, legacy=False, **more) -> bytes:
    """A file of torch.save with weights."""
    file = io.BytesIO()
    torch.save(dict(meta=dict(epoch=1), state_dict=weights, **more), file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def formats(weights) -> dict:
    """The same weights in each format, by the ends of their names."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as opened:
        opened.writestr('x.pth', saved(weights, legacy=True))
    return {
        'pth': saved(weights),
        'tar': saved(weights, True),
        'safetensors': save_safetensors(weights),
        'zip': archive.getvalue(),
    }


def damaged(ending):
    """A kind: bytes of a whole file are changed, lost, added or exchanged."""

    def kind(draw, weights):
        content = bytearray(formats(weights)[ending])
        place = draw(st.integers(0, len(content) - 1))
        length = draw(st.sampled_from([1, 1, 8, 512, 5000]))
        change = draw(st.sampled_from(['flip', 'flip', 'cut', 'zeros', 'lose', 'add', 'swap']))
        if change == 'flip':
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif change == 'cut':
            del content[place:]
        elif change == 'zeros':
            content[place : place + length] = bytes(len(content[place : place + length]))
        elif change == 'lose':
            del content[place : place + length]
        elif change == 'add':
            content[place:place] = draw(st.binary(min_size=1, max_size=20))
        else:
            other = draw(st.integers(0, len(content) - 1))
            one, two = content[place : place + length], content[other : other + length]
            if len(one) == len(two):
                content[place : place + length], content[other : other + length] = two, one
        return ending, bytes(content)

    return kind


def strange_zips(draw, weights):
    """Compressed, encrypted, overlapping, doubled or bombs."""
    content = saved(weights)
    what = draw(st.sampled_from(['compressed', 'bomb', 'flags', 'overlap', 'twice', 'sizes', 'archive bomb', 'many']))
    data = bytearray(content)
    entry = data.index(b'PK\x01\x02')
    places = [i for i in range(entry, len(data)) if data[i : i + 4] == b'PK\x01\x02']
    place = draw(st.sampled_from(places))
    out = io.BytesIO()
    if what in ('compressed', 'twice'):
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, 'w') as new:
            for member in old.infolist():
                for _ in range(2 if what == 'twice' else 1):
                    kind = zipfile.ZIP_DEFLATED if what == 'compressed' else zipfile.ZIP_STORED
                    new.writestr(member.filename, old.read(member), kind)
        return 'pth', out.getvalue()
    if what in ('bomb', 'archive bomb', 'many'):
        size = draw(st.sampled_from([10**8, 6 * 10**8]))
        with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as new:
            if what == 'many':
                for i in range(50_000):
                    new.writestr(f'archive/data/{i}', b'')
            code = dumps({'state_dict': {'a': tensor(storage('0', size // 4), (size // 4,), (1,))}})
            new.writestr('archive/data.pkl' if what != 'archive bomb' else 'x.txt', code)
            new.writestr('archive/data/0' if what != 'archive bomb' else 'x.pth', bytes(size if what != 'many' else 16))
        return 'pth', out.getvalue()
    if what == 'flags':
        struct.pack_into('<H', data, place + 8, draw(st.integers(0, 65535)))
    elif what == 'overlap':
        struct.pack_into('<I', data, place + 42, draw(st.integers(0, len(data))))
    else:
        struct.pack_into('<II', data, place + 20, *[draw(st.sampled_from([0, 1, 10**9, 2**32 - 1]))] * 2)
    return 'pth', bytes(data)


def strange_safetensors(draw, weights):
    """Headers with other offsets, types, shapes and lengths than there are."""
    content = save_safetensors(weights)
    end = 8 + int.from_bytes(content[:8], 'little')
    header = json.loads(content[8:end])
    entry = header[draw(st.sampled_from(sorted(header)))]
    what = draw(st.sampled_from(['data_offsets', 'shape', 'dtype', 'length', 'digits', 'deep', 'metadata', 'none']))
    if what in ('data_offsets', 'shape'):
        entry[what] = draw(st.lists(st.sampled_from([0, 1, 16, *HUGE]), max_size=4))
    elif what == 'dtype':
        entry['dtype'] = draw(st.sampled_from(['F64', 'I8', 'BOOL', 'F8_E4M3', 'F8_E5M2', 'X', 'F4', 'C64', '', 5]))
    elif what == 'metadata':
        header['__metadata__'] = draw(st.sampled_from([{}, {'a': 'b\nerror: c'}, {'a': 1}, [], 'x', None]))
    text = json.dumps(header)
    if what == 'digits':
        text = text.replace('[0,', '[' + '9' * 5000 + ',', 1)
    if what == 'deep':
        text = '{"a":' + '[' * 100_000
    length = draw(st.sampled_from([0, 2**24, 10**8, 10**8 + 1, 2**63, 2**64 - 1])) if what == 'length' else len(text)
    return 'safetensors', struct.pack('<Q', length) + text.encode() + content[end:]


def strange_names(draw, weights):
    """Names of tensors that are long, forged, of other types or of stages that no fish has."""
    name = draw(
        st.one_of(
            st.sampled_from(
                [
                    *('tail.stage999999999999.0.conv1.weight', 'head.stage999999999999.refine.0.conv1.weight'),
                    *('x\nerror: forged', 'stem.\x1b[2J\rerror: forged', 'tail.stage1.0.\u202econv1.weight', '\ud800', ''),
                    *('head.stage' + '9' * 5000 + '.refine.0.conv1.weight', 'a.' * 500_000, 'x' * 5_000_000),
                    *('x\nerror: forged.tail.stage1.0.conv1.weight', 'fish.fish.99.0.conv1.weight', 'module.' * 100),
                ]
            ),
            st.text(max_size=40),
        )
    )
    alone = draw(st.booleans())
    changed = {name: torch.ones(3)} if alone else {**weights, name: torch.ones(3)}
    if draw(st.booleans()):
        return 'tar', saved(changed, legacy=True)
    many = {f'{i}.tail.stage1.0.conv1.weight': torch.ones(1) for i in range(draw(st.sampled_from([0, 0, 3000])))}
    return 'pth', saved({**changed, **many})


def strange_keys(draw, weights):
    """Keys of dicts that are no texts."""
    leaves = st.one_of(st.none(), st.integers(), st.booleans(), st.floats(), st.binary(max_size=4))
    keys = st.recursive(leaves, lambda inner: st.tuples(inner, inner))
    more = {draw(keys): torch.ones(2) for _ in range(3)}
    among = more if draw(st.booleans()) else {}
    return 'pth', saved({**weights, **among}, optimizer=more)


def strange_types(draw, weights):
    """One weight, or all, in types that no network computes with."""
    changed = OrderedDict(weights)
    names = [name for name in weights if weights[name].dim() == 4]
    names = draw(st.sampled_from([names, *[[name] for name in names[:5]]]))
    types = [torch.int8, torch.int64, torch.uint8, torch.bool, torch.complex64]
    # Before 2.1 PyTorch has no float8.
    types += [getattr(torch, name) for name in ('float8_e4m3fn', 'float8_e5m2') if hasattr(torch, name)]
    change = draw(
        st.sampled_from(
            [
                *[lambda t, dtype=dtype: t.to(dtype) for dtype in types],
                lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
                lambda t: torch.quantize_per_channel(t, torch.ones(len(t)), torch.zeros(len(t)), 0, torch.quint8),
                lambda t: t.to_sparse(),
                lambda t: t.flatten(1).to_sparse_csr(),
                lambda t: t.to('meta'),
                lambda t: torch.nested.nested_tensor([t[0], t[0]]),
                lambda t: torch.complex(t, t).conj(),
            ]
        )
    )
    changed.update({name: change(weights[name]) for name in names})
    return 'pth', saved(changed)


def strange_numbers(draw, weights):
    """A number that is no weight, or too large for one."""
    changed = dict(weights)
    name = draw(st.sampled_from([name for name in weights if weights[name].dim()]))
    number = draw(st.sampled_from([float('nan'), float('inf'), -float('inf'), 1e300, -1e300, 3.5e38]))
    if name.endswith('running_var'):
        number = draw(st.sampled_from([number, -1.0, -1e-3]))
    changed[name] = weights[name].double()
    changed[name].view(-1)[draw(st.integers(0, changed[name].numel() - 1))] = number
    ending = draw(st.sampled_from(['pth', 'tar', 'safetensors']))
    return ending, formats(changed)[ending]


def strange_states(draw, weights):
    """A training state of other types than mmengine writes."""
    leaves = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=9))
    values = st.recursive(leaves, lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=2))
    keys = ['meta', 'message_hub', 'optimizer', 'best_prec1', 'epoch', 'iter', 'param_schedulers']
    state = {key: draw(values) for key in draw(st.lists(st.sampled_from(keys), max_size=5, unique=True))}
    return 'pth', saved(weights, **{key: value for key, value in state.items() if key != 'meta'})


def other_files(draw, weights):
    """What is no checkpoint at all."""
    content = draw(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)))
    starts = [b'', b'PK\x03\x04', b'\x80\x02', b'{"', b'<html>', b'\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.', b'\x1f\x8b']
    start = draw(st.sampled_from(starts))
    return draw(st.sampled_from(['pth', 'tar', 'safetensors'])), start + content


def special_files(draw, weights):
    """Pipes, devices, sockets, folders, names too long; a function makes them at a path."""
    links = [link_to(target) for target in ('/dev/zero', '/dev/tty', '/', '.')]
    return 'pth', draw(st.sampled_from([Path.mkdir, os.mkfifo, make_socket, Path.touch, *links]))


def make_socket(path):
    """A socket at a path, through a shorter name."""
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(path.parent)
        one.bind(path.name)
        os.chdir(here)


def link_to(target):
    """Makes a link."""
    return lambda path: path.symlink_to(target if target != '.' else path.name)


KINDS = {
    'damaged zip of torch.save': (damaged('pth'), False),
    'damaged zip archive': (damaged('zip'), False),
    'damaged safetensors of convert': (damaged('safetensors'), False),
    'damaged file from before PyTorch 1.6': (damaged('tar'), True),
    'any call': (calls, False),
    'known attacks': (known_attacks, False),
    'repeated, huge, outside tensors': (strange_tensors, True),
    'compressed, doubled, overlapping zips': (strange_zips, False),
    'headers of safetensors': (strange_safetensors, True),
    'names': (strange_names, False),
    'keys': (strange_keys, False),
    'types of numbers': (strange_types, False),
    'NaN, infinite, too large numbers': (strange_numbers, False),
    'training states': (strange_states, False),
    'no checkpoints': (other_files, False),
    'pipes, devices, folders': (special_files, False),
}
