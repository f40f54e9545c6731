"""Directions of a stream, and weights that do or do not read or write them."""
import torch


def ridge(x, y, strength):
    """[n, a], [n, b] -> [a, b]."""
    return torch.linalg.solve(x.T @ x + strength * torch.eye(x.shape[1]), x.T @ y)


def least(x, count):
    """The `count` directions [d, count] in which rows of x [n, d] are smallest."""
    return torch.linalg.eigh(x.T @ x)[1][:, :count]


def forget(weight, directions):
    """Products with `weight` [out, in] no longer see `directions` [in, n]."""
    basis = torch.linalg.qr(directions)[0]
    weight.sub_(weight @ basis @ basis.T)


def silence(weight, basis):
    """Products with `weight` [out, in] have nothing in `basis` [out, n], orthonormal."""
    weight.sub_(basis @ (basis.T @ weight))
