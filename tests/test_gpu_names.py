"""What kind a GPU is, by its name and memory, and what its MIG profiles are called."""

from __future__ import annotations

import pytest

from gpuyard.executor.names import kind_of, profile_in, profile_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("NVIDIA A100 80GB PCIe", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 NVL", "H100"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("Tesla V100S-PCIE-32GB", "V100S"),
        ("Tesla T4", "T4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA GeForce GTX 1080 Ti", "GTX1080Ti"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "RTX4070TiSUPER"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "RTX4090Laptop"),
        ("Quadro RTX 8000", "RTX8000"),
        ("NVIDIA RTX A6000", "RTXA6000"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX6000Ada"),
        ("NVIDIA Emulated A100-SXM4-40GB", "A100"),
        ("NVIDIA TITAN X (Pascal)", "NVIDIA-TITAN-X-Pascal"),
        ("Something Else", "Something-Else"),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("name", "mib", "kind"),
    [
        ("NVIDIA A100-SXM4-80GB", 81920, "A100-80GB"),
        ("NVIDIA A100-SXM4-40GB", 40960, "A100"),
        ("Tesla V100-SXM2-32GB", 32510, "V100-32GB"),
        ("Tesla V100-SXM2-16GB", 16160, "V100"),
        ("NVIDIA H100 80GB HBM3", 81559, "H100"),
        ("Something Else", 81920, "Something-Else"),
    ],
)
def test_more_memory_makes_a_kind_of_its_own_where_the_data_file_has_it(name: str, mib: int, kind: str) -> None:
    assert kind_of(name, mib * 2**20) == kind


@pytest.mark.parametrize(
    ("total_mib", "profiles"),
    [
        (40960, ["1g.5gb", "2g.10gb", "3g.20gb", "7g.40gb"]),
        (81920, ["1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb"]),
        (143771, ["1g.18gb", "2g.35gb", "3g.71gb", "7g.141gb"]),
        (183359, ["1g.23gb", "2g.45gb", "3g.90gb", "7g.180gb"]),
    ],
)
def test_mig_profiles_are_named_as_nvidia_does(total_mib: int, profiles: list[str]) -> None:
    eighths = {1: 1, 2: 2, 3: 4, 7: 8}
    told = [
        profile_of(slices, slices, int(total_mib * part / 8 * 0.97), total_mib * 2**20)
        for slices, part in eighths.items()
    ]
    assert told == profiles
    assert profile_in(f"NVIDIA A100-SXM4-40GB MIG {profiles[0]}") == profiles[0]
    assert profile_in("NVIDIA A100-SXM4-40GB") is None
