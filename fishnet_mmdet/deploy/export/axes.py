"""Names of the axes of a file's inputs and outputs, so that a viewer shows what they are."""

from typing import Dict, Tuple

from onnx import ModelProto

#: By the name of the value; a mask can be drawn in the image, or be as large as the head computes it.
AXES: Dict[str, Tuple[object, ...]] = dict(
    boxes=('objects', 4),
    labels=('objects',),
    scores=('objects',),
    masks=('objects', 'height', 'width'),
    panoptic=('height', 'width'),
)


def name_axes(model: ModelProto) -> None:
    """Names the axes whose length can change; the others keep their length."""
    for value in model.graph.output:
        for dim, name in zip(value.type.tensor_type.shape.dim, AXES[value.name]):
            if not dim.HasField('dim_value'):
                dim.dim_param = name
    for value in model.graph.input:
        sides = iter(('height', 'width'))
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField('dim_value'):
                dim.dim_param = next(sides)
