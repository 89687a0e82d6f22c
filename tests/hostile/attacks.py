"""Pickles that call functions with arguments that nobody else gives them, and tensors that are not there."""

import struct

import hypothesis.strategies as st
from pickling import Call, Global, Raw, dumps, encode, legacy_file, storage, tensor, zip_file

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
