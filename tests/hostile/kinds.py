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
from pickling import Call, Global, Raw, dumps, encode, legacy_file, storage, tensor, zip_file
from safetensors.torch import save as save_safetensors

HUGE = (10**5, 10**9, 10**12, 2**31, 2**62, 2**63 - 1, 2**64, -1, -8, -(2**63))
#: What a pickle may try to call: allowed by torch or by us, or never.
CALLED = [
    *('torch._utils _rebuild_tensor', 'torch._utils _rebuild_tensor_v2', 'torch._utils _rebuild_tensor_v3'),
    *('torch._utils _rebuild_parameter', 'torch._utils _rebuild_parameter_with_state', 'torch._tensor _rebuild_from_type_v2'),
    *('torch._utils _rebuild_qtensor', 'torch._utils _rebuild_sparse_tensor', 'torch._utils _rebuild_nested_tensor'),
    *('torch._utils _rebuild_meta_tensor_no_storage', 'torch._utils _rebuild_wrapper_subclass', 'torch Tensor', 'torch Size'),
    *('torch device', 'torch.serialization _get_layout', 'torch.nn.parameter Parameter', 'torch FloatStorage'),
    *('torch.storage UntypedStorage', 'torch.storage TypedStorage', 'torch FloatTensor', 'torch.sparse FloatTensor'),
    *('collections OrderedDict', 'collections Counter', '__builtin__ set', '__builtin__ bytearray', '__builtin__ complex'),
    *('_codecs encode', '__builtin__ getattr', 'numpy ndarray', 'numpy dtype', 'numpy._core.multiarray _reconstruct'),
    *('numpy.core.multiarray _reconstruct', 'numpy._core.multiarray scalar', 'numpy.core.multiarray scalar'),
    *('mmengine.logging.history_buffer HistoryBuffer', 'fishnet_mmdet.checkpoints.training_state _Array', ' array'),
    *('os system', 'posix system', '__builtin__ eval', '__builtin__ exec', 'builtins __import__', 'subprocess Popen'),
    *('copyreg _reconstructor', 'operator attrgetter', 'functools partial', 'torch load', 'torch.hub load', 'io open'),
]
CODE = [
    Call(Global('posix system'), ('touch code-ran',)),
    Call(Global('__builtin__ eval'), ('open("code-ran", "w")',)),
    Call(Global('__builtin__ getattr'), (Global('posix system'), '__call__')),
    Call(Call(Global('__builtin__ getattr'), (Global('torch Tensor'), '__reduce_ex__')), (2,)),
]


def arguments():
    """Arguments of a call: numbers, texts, names and containers of them."""
    leaves = st.one_of(
        st.sampled_from(HUGE),
        st.integers(0, 5),
        st.sampled_from(
            ['O', 'f8', 'V8', 'latin1', 'idna', 'zlib', 'hex', 'x' * 1000, 'touch code-ran', 'open("code-ran","w")']
        ),
        st.sampled_from([b'', b'b', b'AAAAAAAA', None, True, 1e300, float('nan')]),
        st.sampled_from(CALLED).map(Global),
        st.just(storage('0', 4)),
    )
    return st.recursive(leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(inner, max_size=4).map(tuple)))


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


def calls(draw, weights):
    """Any call with any arguments, anywhere in the checkpoint."""
    opcode = draw(st.sampled_from([b'R', b'R', b'\x81']))
    state = draw(st.one_of(st.none(), arguments()))
    call = Call(Global(draw(st.sampled_from(CALLED))), draw(st.lists(arguments(), max_size=6).map(tuple)), state, opcode)
    return wrapped(draw, draw(st.sampled_from([call, Call(Global('torch Size'), (call,)), [call]])))


def known_attacks(draw, weights):
    """Calls that are known to run code, crash, hang or fill memory."""
    reconstruct, dtype = Global('numpy._core.multiarray _reconstruct'), Call(Global('numpy dtype'), ('f8', False, True))
    objects, empty = Call(Global('numpy dtype'), ('O',)), (Global('numpy ndarray'), (0,), b'b')
    numbers = [tensor(storage('1', 2, 'torch LongStorage'), size, (1,) * len(size)) for size in ((1, 1), (1, 1), (1,))]
    nested = Call(Global('torch._utils _rebuild_nested_tensor'), (tensor(storage('0', 4), (4,), (1,)), *numbers))
    text = b'X' + struct.pack('<I', 1 << 18) + b'a' * (1 << 18) + b'q\x01'
    encoded = b'c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R'
    huge = draw(st.sampled_from(HUGE[:6]))
    history = Global('mmengine.logging.history_buffer HistoryBuffer')
    attacks = [
        *CODE,
        Call(Global('numpy ndarray'), ((1,), 'O', b'AAAAAAAA')),
        Call(Global('numpy ndarray'), ((1,), 'f8', b'AAAAAAAA', -huge)),
        Call(reconstruct, (Global('numpy ndarray'), (huge,), b'b')),
        Call(reconstruct, empty, (1, (1,), objects, False, b'AAAAAAAA')),
        Call(reconstruct, empty, (1, (huge,), dtype, False, b'AAAAAAAA')),
        Call(Global('_codecs encode'), ('a' * 200_000, 'idna')),
        Call(Global('_codecs encode'), ('\u0101' * 100_000, 'punycode')),
        Call(Global('torch Tensor'), (huge,)),
        Call(Global('torch.storage UntypedStorage'), (huge,)),
        Call(Global('__builtin__ bytearray'), (huge,)),
        nested,
        Call(history, (), {'_log_history': [0] * 3, '_count_history': [huge], 'max_length': 5}, b'\x81'),
        Call(history, (), {'_log_history': None}, b'\x81'),
        Call(Global('__builtin__ set'), ([i * (2**61 - 1) for i in range(30_000)],)),
        Raw(b')' + b'\x85' * draw(st.sampled_from([1000, 500_000]))),
        Raw(b'}' + b')' + b'\x85' * 500_000 + b'Ns'),
        Raw(b']q\x01' + b'](h\x01h\x01h\x01h\x01h\x01h\x01h\x01h\x01h\x01h\x01eq\x01' * 30),
        Raw(b'](' + text + encoded * 20_000 + b'e'),
        Raw(b'\x8b' + struct.pack('<i', 200_000) + b'\x7f' * 200_000),
        Raw(b'r\xff\xff\xff\xff' + b'N'),
        Raw(b'N' + b'r' + struct.pack('<I', draw(st.sampled_from([2**31, 2**32 - 1])))),
    ]
    return wrapped(draw, draw(st.sampled_from(attacks)))


def wrapped(draw, value):
    """A file with a hostile value beside, among or in the place of the weights."""
    weight = tensor(storage('0', 4), (2, 2), (2, 1))
    content = draw(
        st.sampled_from(
            [
                {'state_dict': {'stem.conv1.weight': weight}, 'hostile': value},
                {'state_dict': {'stem.conv1.weight': weight}, 'meta': {'epoch': value, 'iter': value}, 'best_prec1': value},
                {'state_dict': {'tail.stage1.0.conv1.weight': weight, 'stem.conv1.weight': value}},
                {'state_dict': value},
                {'state_dict': {'a': weight}, 'message_hub': {'log_scalars': {'val/acc': value}}},
            ]
        )
    )
    if draw(st.booleans()) or type(value) is Raw:
        return 'pth', zip_file(dumps(content), {'0': bytes(16), '1': struct.pack('<2q', 2**40, 2**40)})
    code = dumps(content).replace(encode(storage('0', 4)), encode(storage('0', 4, legacy=True)))
    return 'tar', legacy_file(code, {'0': bytes(16)})


def strange_tensors(draw, weights):
    """One weight is repeated, huge, or out of its storage."""
    name = draw(st.sampled_from(sorted(weights)))
    sizes = st.lists(st.sampled_from([0, 1, 3, 64, *HUGE]), max_size=5).map(tuple)
    size, stride = draw(sizes), draw(sizes)
    content, data = {}, {'x': bytes(16)}
    for key, weight in weights.items():
        if weight.is_floating_point():
            content[key] = tensor(storage(key, weight.numel()), tuple(weight.shape), weight.stride())
            data[key] = weight.numpy().tobytes()
    of = storage('x', draw(st.sampled_from([4, *HUGE])))
    content[name] = tensor(of, size, stride, draw(st.sampled_from([0, 1, *HUGE])))
    return 'pth', zip_file(dumps({'state_dict': content}), data)


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
    types = [torch.int8, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2]
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
