"""optuna-dashboard on our storage, with access control, and with notes, plots and artifacts of each study."""

from optbench.dashboard.guard import LOOPBACK, Guard, read_password
from optbench.dashboard.refresh import refresh
from optbench.dashboard.serve import serve

__all__ = ["LOOPBACK", "Guard", "read_password", "refresh", "serve"]
