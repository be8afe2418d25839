"""Near duplicates by MinHash, in time linear in the number of texts whatever they hold.

    shingles ──datasketch──> sketches ──bands, sorted──> candidate pairs ──estimate──> near pairs ──chains──> groups

Two sets are near where the estimated Jaccard similarity reaches a threshold (MinHash: Broder, On the resemblance and
containment of documents, 1997; bands: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4).

Sketches and the choice of bands are datasketch's. Its index is not used: it keeps Python objects for each text and band
(4.5 GB for a million texts), and a bucket of m alike texts yields m² pairs. Here bands are sorted, and each member of a
bucket is compared with the bucket's first member and the one before it: at most two pairs a text and band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from datasketch import MinHash, MinHashLSH
from jaxtyping import Float, Int64, UInt32, UInt64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from flan_jax.config import ContaminationConfig
from flan_jax.data.audit.ngrams import Words
from flan_jax.keyed import mix64

_COMPARED_AT_ONCE = 65_536  # pairs: 64 MB of sketches
# A missed pair is lost and a false candidate only costs a comparison, so bands are chosen for few misses.
_WEIGHTS = (0.1, 0.9)  # of false candidates, of misses


@dataclass(frozen=True)
class NearGroups:
    """Texts in groups of near duplicates.

    Attributes:
        labels: int64 [texts], number of each text's group; a text without a near duplicate is a group of one.
        similarities: float [groups], the least estimate among the pairs that make a group; 1 for groups of one.
    """

    labels: Int64[np.ndarray, "texts"]
    similarities: Float[np.ndarray, "groups"]


def sketches_of(
    texts: Words, places: list[int], settings: ContaminationConfig, *, seed: int
) -> UInt32[np.ndarray, "n permutations"]:
    """Sketches of the texts at these places; a text shorter than a shingle is a shingle by itself."""
    [(_, shingles, owners)] = texts.ngrams([settings.shingle_words])
    values = (shingles >> np.uint64(32)).tolist()
    wholes = (texts.whole() >> np.uint64(32)).tolist()
    bounds = np.searchsorted(owners, np.arange(len(texts.lengths) + 1)).tolist()
    sets = [values[bounds[place] : bounds[place + 1]] or [wholes[place]] for place in places]
    made = MinHash.generator(sets, num_perm=settings.permutations, seed=seed, hashfunc=int)
    sketches = [sketch.hashvalues for sketch in made]
    return np.stack(sketches) if sketches else np.zeros((0, settings.permutations), np.uint32)


def near_groups(sketches: UInt32[np.ndarray, "n permutations"], settings: ContaminationConfig) -> NearGroups:
    """The groups that chains of near pairs make."""
    pairs, similarities = near_pairs(sketches, settings)
    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(sketches), len(sketches)))
    num_groups, labels = connected_components(edges, directed=False)
    least = np.ones(num_groups)
    np.minimum.at(least, labels[pairs[:, 0]], similarities)
    return NearGroups(labels.astype(np.int64), least)


def near_pairs(
    sketches: UInt32[np.ndarray, "n permutations"], settings: ContaminationConfig
) -> tuple[Int64[np.ndarray, "m 2"], Float[np.ndarray, "m"]]:
    """Pairs (earlier, later) whose estimated similarity reaches the threshold, and the estimates.

    Enough of them to chain the members of a group, not all.
    """
    lsh = MinHashLSH(settings.similarity, settings.permutations, weights=_WEIGHTS)
    bands = [_bucket_pairs(sketches[:, band * lsh.r : (band + 1) * lsh.r]) for band in range(lsh.b)]
    # one number a pair: sorted twenty times as fast as rows of two
    merged = np.unique(np.concatenate(bands))
    pairs = np.stack([merged >> np.uint64(32), merged & np.uint64(2**32 - 1)], axis=1).astype(np.int64)
    similarities = np.concatenate(
        [
            np.mean(sketches[some[:, 0]] == sketches[some[:, 1]], axis=1)
            for some in np.array_split(pairs, len(pairs) // _COMPARED_AT_ONCE + 1)
        ]
    )
    is_near = similarities >= settings.similarity
    return pairs[is_near], similarities[is_near]


def _bucket_pairs(band: UInt32[np.ndarray, "n r"]) -> UInt64[np.ndarray, "m"]:
    """earlier · 2³² + later for rows that are equal: each with the first of its bucket, and with the one before it."""
    keys = np.zeros(len(band), np.uint64)
    for column in band.T:
        keys = mix64(keys ^ column)
    order = np.argsort(keys, kind="stable").astype(np.uint64)
    ordered = keys[order]
    is_later = np.zeros(len(keys), bool)
    is_later[1:] = ordered[1:] == ordered[:-1]
    later = np.flatnonzero(is_later)
    firsts = np.maximum.accumulate(np.where(is_later, 0, np.arange(len(keys))))[later]
    return np.concatenate([order[firsts], order[later - 1]]) << np.uint64(32) | np.tile(order[later], 2)
