"""Error rates and calibration.  Scores are log-likelihood ratios ln p(x|spoof) / p(x|bona fide)
(or anything that grows with "spoof"); labels are 1 for spoof and 0 for bona fide."""

import numpy as np


def eer(scores, labels):
    """(equal error rate, threshold): where misses equal false alarms, linearly interpolated."""
    order = np.argsort(-scores, kind="stable")
    s, y = scores[order], labels[order]
    miss = 1 - np.concatenate([[0], np.cumsum(y)]) / max(1, y.sum())
    alarm = np.concatenate([[0], np.cumsum(1 - y)]) / max(1, (1 - y).sum())
    ends = np.concatenate([[True], s[1:] != s[:-1], [True]])  # ties move together
    miss, alarm = miss[ends], alarm[ends]
    cut = np.concatenate([[s[0] + 1e-6], s[ends[1:]]])
    k = int(np.argmax(alarm >= miss))
    if k == 0:
        return float(alarm[0]), float(cut[0])
    before, after = miss[k - 1] - alarm[k - 1], miss[k] - alarm[k]
    t = before / (before - after)
    return (float(alarm[k - 1] + t * (alarm[k] - alarm[k - 1])),
            float(cut[k - 1] + t * (cut[k] - cut[k - 1])))


def auc(scores, labels):
    """Area under the ROC curve, ties counted half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n1, n0 = labels.sum(), (1 - labels).sum()
    return float((rank[labels == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def ece(llr, labels, bins=10):
    """Expected calibration error of p(spoof) = sigmoid(llr), classes weighted equally."""
    p = 1 / (1 + np.exp(-np.clip(llr, -50, 50)))
    weight = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
    which = np.minimum((p * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = which == b
        if inside.any():
            total += abs((weight * (p - labels))[inside].sum())
    return float(total)


def per_file(scores, owner, weights):
    """(mean score of each file that has windows, weighted; numbers of these files); owner: file
    number of each window."""
    files, place = np.unique(owner, return_inverse=True)
    return np.bincount(place, scores * weights) / np.bincount(place, weights), files


def platt(scores, labels, steps=50):
    """(a, b) so that a * score + b is a natural-log likelihood ratio: logistic regression with
    both classes weighted equally (prior 0.5), by Newton's method."""
    x = np.stack([scores, np.ones_like(scores)], 1).astype(float)
    weight = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
    theta = np.array([1.0, 0.0])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ theta, -50, 50)))
        gradient = x.T @ (weight * (p - labels)) + 1e-6 * theta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2)
        theta = theta - np.linalg.solve(hessian, gradient)
    return float(theta[0]), float(theta[1])
