# A candidate for FishNeXt-229, the backbone of the COCO 2018 winner (section 4.4): the paper gives the name only, and
# these counts are ours.
# - 229 layers are 73 residual units of 3, and 10 around them: the released models' 12 with one 7x7 convolution as stem. With
#   the released stem of three, no number of units makes 229.
# - 73 units are 10 more than FishNet-201's. They continue what makes 201 of 150, in the same places and proportions (tail +5,
#   head +7, the last transfer +5): tail +3, head +4, the last transfer +3.
# - The groups are FishNeXt-150's, 4 channels at stride 4 ("4d").
fish = dict(
    tail_units=(3, 4, 15),
    bridge_units=4,
    body_units=(2, 2, 2),
    head_units=(2, 3, 14),
    body_transfers=(2, 2, 2),
    head_transfers=(2, 2, 12),
    deep_stem=False,
    group_width=4,
)
