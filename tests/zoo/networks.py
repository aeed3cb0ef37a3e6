"""Which networks are exported, and how.

From timm the smallest of every family that has 1000 classes, without the toys called ``test_*``; of families with very
different members, more than one.
"""

from __future__ import annotations

EXPORTERS = ("ts1", "tsn", "dynamo1", "dynamon")
EVERY_WAY = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "vgg16",
)
"""torchvision's, by all four exporters."""
TWO_WAYS = (
    # torchvision
    "maxvit_t",
    "mnasnet1_0",
    "resnext50_32x4d",
    "swin_t",
    "vgg16_bn",
    "vit_b_16",
    # timm, attention or mixing
    "beit_base_patch16_224",
    "caformer_s18",
    "cait_xxs24_224",
    "coat_lite_tiny",
    "coat_tiny",
    "coatnet_nano_rw_224",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_zepto_rms",
    "crossvit_tiny_240",
    "davit_tiny",
    "deit_tiny_distilled_patch16_224",
    "deit_tiny_patch16_224",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientvit_b0",
    "eva02_tiny_patch14_224",
    "fastvit_t8",
    "focalnet_tiny_srf",
    "gcvit_xxtiny",
    "gmlp_ti16_224",
    "hiera_tiny_224",
    "inception_next_atto",
    "levit_128s",
    "levit_conv_128s",
    "maxvit_pico_rw_256",
    "mixer_s16_224",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "mvitv2_tiny",
    "nest_tiny",
    "pit_ti_224",
    "pit_ti_distilled_224",
    "poolformer_s12",
    "poolformerv2_s12",
    "pvt_v2_b0",
    "repvit_m1",
    "sequencer2d_s",
    "swin_tiny_patch4_window7_224",
    "swinv2_tiny_window8_256",
    "tiny_vit_5m_224",
    "tnt_s_patch16_224",
    "twins_pcpvt_small",
    "twins_svt_small",
    "visformer_tiny",
    "vit_tiny_patch16_224",
    "vit_tiny_patch16_dinov3_qkvb",
    "xcit_nano_12_p16_224",
    # timm, convolutions
    "cs3darknet_focus_s",
    "densenetblur121d",
    "dla46x_c",
    "dpn48b",
    "ese_vovnet19b_slim_dw",
    "ghostnet_050",
    "hgnetv2_b0",
    "hrnet_w18_small",
    "legacy_xception",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_035",
    "mobileone_s1",
    "nf_regnet_b0",
    "nfnet_l0",
    "regnetx_002",
    "repvgg_a0",
    "res2next50",
    "resnest14d",
    "resnetv2_18",
    "rexnet_100",
    "selecsls42",
    "tinynet_e",
    "tresnet_m",
)
"""torchvision's and timm's, by ``ts1`` and ``dynamon``, the two that differ most."""
LARGER = ("resnet101", "resnext101_32x8d")
"""In the table and in benchmarks; for tests they are ResNet-50 and ResNeXt-50 once more, and take minutes."""


def exporters_of(name: str) -> tuple[str, ...]:
    """How a network is exported; one that is not listed goes both of two ways."""
    return EXPORTERS if name in EVERY_WAY else ("ts1", "dynamon")
