from labcheck import Arm, Claim, beats
from labcheck.labs.mnist import VAL_ACCURACY, VAL_LOSS, Mnist

claim = Claim(
    id="mnist/batchnorm",
    statement="BatchNorm gives a higher validation accuracy and a lower validation loss, in two settings.",
    citation="report boston-mnist, part 2, influence of BatchNorm, which types 0 and 2 have; curves without numbers",
    lab=Mnist,
    arms={
        "plain": Arm({"norm": False}),
        "norm": Arm({"norm": True}),
        "varied": Arm({"norm": False, "varied": True}),
        "varied+norm": Arm({"norm": True, "varied": True}),
    },
    relations=[
        beats("norm", "plain", VAL_ACCURACY),
        beats("norm", "plain", VAL_LOSS),
        beats("varied+norm", "varied", VAL_ACCURACY),
        beats("varied+norm", "varied", VAL_LOSS),
    ],
    seeds={"quick": 16, "full": 16},
    comparable=["full"],
    notes=[
        "The report does not state its two settings: the base network and one with a moderate dropout rate are "
        "assumed.",
        "Accuracy and loss are those of the restored weights, with the lowest validation loss.",
    ],
)
