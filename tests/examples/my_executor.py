"""An executor of one's own: every run in the process of the sweep, so that torch is loaded once for all."""

from craft.lab.sweeps.executors import Ended, Executor, Job, register_executor
from craft.trainers import launch


class InThisProcess(Executor):
    """Carries out each run in the process of the sweep, as soon as it is submitted: torch is loaded once for all."""

    def submit(self, job: Job) -> Ended:
        status = launch.main(list(job.arguments))
        if status == 130:  # Ctrl-C is the sweep's
            raise KeyboardInterrupt
        return Ended(status == 0, "" if status == 0 else f"exit status {status}")

    def poll(self, handle: Ended) -> Ended:
        return handle

    def cancel(self, handle: Ended) -> None:
        """Nothing outlives its submission."""

    def close(self) -> None:
        """Nothing is left to end."""


register_executor("in-this-process", InThisProcess)
