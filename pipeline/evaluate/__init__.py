"""The perfusion analysis against labels: the paper's table, its tests, and whether trust tells."""
