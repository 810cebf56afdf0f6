"""torchrun, with the exit status of its processes where they stopped to go on later.

    python slurm/torchrun.py --nproc_per_node=4 ... SCRIPT [arguments]

torchrun itself ends with 1 whatever its processes ended with.
"""

import os
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == "__main__":
    try:
        main()
    except ChildFailedError as error:
        if os.EX_TEMPFAIL in {failure.exitcode for failure in error.failures.values()}:
            sys.exit(os.EX_TEMPFAIL)
        sys.exit(str(error))
