"""FGD's comparison: scores by hand, and published ratios on the real trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real import REAL, needs_real

from gpuyard.experiments.fgd_scores import (
    Cluster,
    Fragmentation,
    Pod,
    best_fit,
    clustering,
    dot_product,
    packing,
    pods,
)
from gpuyard.experiments.reproduce_fgd import PUBLISHED, play, sample
from gpuyard.traces.trouble import BadInput

OPENB = REAL / "alibaba-v2023-openb"
HALF, WHOLE, PAIR = Pod(1000, 0, 1, 500, ()), Pod(1000, 0, 1, 1000, ()), Pod(1000, 0, 2, 1000, ())


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Two nodes of two GPUs and 64 cores, one of eight and 128."""
    path = tmp_path / "nodes.csv"
    path.write_text(
        "sn,cpu_milli,memory_mib,gpu,model\na,64000,1000,2,T4\nb,64000,1000,2,P100\nc,128000,1000,8,V100M32\n"
    )
    return Cluster(path)


def test_scores_by_hand(cluster: Cluster) -> None:
    all_three = np.arange(3)
    cluster.put(HALF, 0, [0])
    # half the node's GPUs: 1,500 left of 8,000; 63 of 128 cores
    assert dot_product(cluster, WHOLE, all_three)[0] == np.floor(100 * (1 - (63 / 128 / 128 + 1.5 / 8 / 8) / 2))
    assert packing(cluster, HALF, all_three).tolist() == [95, 33 - 2, 33 - 8]
    assert packing(cluster, WHOLE, all_three).tolist() == [49, 33 - 2, 33 - 8]
    assert clustering(cluster, HALF, all_three).tolist() == [75 + 20, 25 + 18, 25 + 0]
    assert clustering(cluster, PAIR, all_three).tolist() == [0 + 20, 25 + 18, 25 + 0]
    assert best_fit(cluster, WHOLE, all_three)[[0, 2]].tolist() == [100, 0]


def test_fgd_puts_a_share_beside_a_share(cluster: Cluster) -> None:
    cluster.put(HALF, 0, [1])
    frag = Fragmentation(cluster, [WHOLE] * 3 + [HALF])
    scores, chosen = (found.copy() for found in frag.scores(cluster, HALF))
    assert scores.argmax() == 0
    assert chosen[0] == 1
    cluster.put(HALF, 0, [1])  # what is kept of a node is forgotten when it changes
    again, chosen = frag.scores(cluster, HALF)
    assert again[0] < scores[0]
    assert chosen[0] == 0


def test_a_sample_asks_for_130_percent(cluster: Cluster) -> None:
    line = sample([HALF, WHOLE, PAIR], 12_000, np.random.default_rng(0))
    assert 12_000 * 1.3 - 2000 <= sum(pod.gpu for pod in line) <= 12_000 * 1.3


def test_files_that_are_no_such_lists_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="is no pod list"):
        pods(tmp_path / "x.csv")
    with pytest.raises(BadInput, match="is no node list"):
        Cluster(tmp_path / "x.csv")
    with pytest.raises(BadInput, match="cannot be read"):
        pods(tmp_path / "gone.csv")


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("name", list(PUBLISHED))
def test_one_seed_is_within_one_and_a_half_points_of_the_published_mean(name: str) -> None:
    """Single seeds spread by about a third of a point; means of ten are within half a point."""
    found = play(OPENB / "openb_pod_list_default.csv.gz", OPENB / "openb_node_list_gpu_node.csv", name, 42)
    np.testing.assert_allclose(found, PUBLISHED[name], atol=1.5)
