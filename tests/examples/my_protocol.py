"""A protocol of one's own: prompts learned on one data set and tested on others that look different, in one table."""

from craft.lab.sweeps.catalogue import register_protocol
from craft.lab.sweeps.protocol import Phase, Protocol, Table

#: prompts are learned once, on the handwritten digits as they are …
LEARN = Phase("stress/learn", source=True)
#: … and tested on every data set of the sweep
TEST = Phase("stress/test", needs=LEARN)

STRESS = Protocol(
    "stress",
    "train on digits (--source), test on digits in other clothes",
    config="cross_dataset",
    declared=(LEARN, TEST),
    datasets=("digits_shift", "digits_groups"),
    trainers=("CoOp", "CoOpCraft"),
    shots=(4,),
    source="digits",
    table=Table(per=("shots",), columns="datasets", average=True, notes=("stress: all digits, other clothes",)),
)

register_protocol(STRESS)
