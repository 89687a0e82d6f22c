"""Our scope in OpenMMLab's registries.

mmdet's registries hold only what detector configs name: FishNet, FishNeXt, their initialisation and the hooks of the
schedule. All other types are registered here, in a child scope, so that a user's own ``MobileNet`` or ``ImageFolder`` does
not clash with ours. A config names such a type with its scope, ``type='fishnet_mmdet.Classifier'``, or sets
``default_scope = 'fishnet_mmdet'``, which finds the types of mmdet and mmengine too.
"""

from mmdet import registry as mmdet
from mmengine.registry import Registry

SCOPE = 'fishnet_mmdet'

# The modules of the parents are named too: mmengine imports what a registry names before it looks into it, but not what the
# registry's parent names.
MODELS = Registry('model', parent=mmdet.MODELS, scope=SCOPE, locations=['mmdet.models', 'fishnet_mmdet.models'])
DATASETS = Registry('dataset', parent=mmdet.DATASETS, scope=SCOPE, locations=['mmdet.datasets', 'fishnet_mmdet.datasets'])
TRANSFORMS = Registry(
    'transform', parent=mmdet.TRANSFORMS, scope=SCOPE, locations=['mmdet.datasets', 'fishnet_mmdet.datasets']
)
METRICS = Registry('metric', parent=mmdet.METRICS, scope=SCOPE, locations=['mmdet.evaluation', 'fishnet_mmdet.engine'])
OPTIM_WRAPPERS = Registry('optim_wrapper', parent=mmdet.OPTIM_WRAPPERS, scope=SCOPE, locations=['fishnet_mmdet.engine'])
