"""Torch on one thread: the tests are small, and threads that spin slow each other down."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Keep torch on one thread."""
    torch.set_num_threads(1)
