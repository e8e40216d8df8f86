"""optuna-dashboard on our storage, with access control, and with notes, plots and artifacts of each study."""

from optbench.service.guard import LOOPBACK, Guard, read_password
from optbench.service.refresh import refresh
from optbench.service.serve import serve

__all__ = ["LOOPBACK", "Guard", "read_password", "refresh", "serve"]
