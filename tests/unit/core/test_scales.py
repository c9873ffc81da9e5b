"""Scales: their names, devices and markers."""

import json

import pytest

from labcheck import Scale


def test_scale_is_its_name():
    assert list(Scale) == ["quick", "full"]
    assert [f"{scale}" for scale in Scale] == ["quick", "full"]
    assert json.dumps({Scale.QUICK: [Scale.FULL]}) == '{"quick": ["full"]}'
    assert Scale("full") is Scale.FULL


def test_scale_is_refused_if_unknown():
    with pytest.raises(ValueError, match="'fast' is not a valid Scale"):
        Scale("fast")


@pytest.mark.parametrize(
    ("scale", "needs_gpu", "device", "markers"),
    [(Scale.QUICK, False, "cpu", "not gpu"), (Scale.FULL, True, "cuda", "gpu")],
)
def test_only_full_scale_needs_gpu(scale: Scale, needs_gpu: bool, device: str, markers: str):
    assert (scale.needs_gpu, scale.device, scale.markers) == (needs_gpu, device, markers)
