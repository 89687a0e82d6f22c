"""Our scope in OpenMMLab's registries.

mmdet's registries hold only what detector configs name: FishNet, FishNeXt, their initialisation and the hooks of the
schedule. All other types are registered here, in a child scope, so that a user's own ``MobileNet`` or ``ImageFolder`` does
not clash with ours. A config names such a type with its scope, ``type='fishnet_mmdet.Classifier'``, or sets
``default_scope = 'fishnet_mmdet'``, which finds the types of mmdet and mmengine too.
"""

from mmdet import registry as mmdet
from mmengine.registry import Registry

SCOPE = 'fishnet_mmdet'
#: The modules that register types here.
LOCATIONS = dict(
    MODELS=['fishnet_mmdet.models', 'fishnet_mmdet.models.rpn_head'],
    DATASETS=['fishnet_mmdet.datasets'],
    TRANSFORMS=['fishnet_mmdet.datasets'],
    METRICS=['fishnet_mmdet.engine'],
    OPTIM_WRAPPERS=['fishnet_mmdet.engine'],
    VISUALIZERS=['fishnet_mmdet.inference'],
)


def _child(name: str) -> Registry:
    """Our child of a registry of mmdet. mmengine imports the modules that a registry names, but not those of its parent."""
    parent = getattr(mmdet, name)
    locations = [*parent._locations, *LOCATIONS.get(name, ())]
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=locations)


# All of mmdet's registries have a child: mmengine warns of each that lacks the default scope of a config.
_CHILDREN = {
    name: _child(name)
    for name, registry in vars(mmdet).items()
    if isinstance(registry, Registry) and registry.scope == 'mmdet'
}
MODELS = _CHILDREN['MODELS']
DATASETS = _CHILDREN['DATASETS']
TRANSFORMS = _CHILDREN['TRANSFORMS']
METRICS = _CHILDREN['METRICS']
OPTIM_WRAPPERS = _CHILDREN['OPTIM_WRAPPERS']
VISUALIZERS = _CHILDREN['VISUALIZERS']
