from labcheck.claims import Arm, Claim
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion
from labcheck.metrics import CPU_SECONDS
from labcheck.relations import beats, equivalent

BEST = {"hidden": 512, "lr": 0.3, "epochs": 10}

claim = Claim(
    id="fashion/scratch-vs-torch",
    statement="The network written by hand takes more CPU time than torch's; torch's ends with a lower training loss "
    "and a higher accuracy, which may be due to the initial weights.",
    source="report fashion, own modules against PyTorch's; figures 256-512-.3-10 and 256-512-.3-10-PyTorch",
    lab=Fashion,
    arms={
        "by hand": Arm(BEST),
        "torch": Arm({**BEST, "engine": "torch", "init": "default"}),
        "torch, same start": Arm({**BEST, "engine": "torch"}),
    },
    relations=[
        beats("torch", "by hand", CPU_SECONDS, by=0.1),
        beats("torch", "by hand", FINAL_LOSS),
        beats("torch", "by hand", TEST_ACCURACY),
        equivalent("torch, same start", "by hand", FINAL_LOSS, margin=0.01, says="initial weights explain it"),
        equivalent("torch, same start", "by hand", TEST_ACCURACY, margin=0.005, says="initial weights explain it"),
    ],
    seeds={"quick": 10, "full": 20},
    notes=[
        "By hand is labcheck's own network, not the report's, whose code is not printed.",
        "Torch's is torch.nn's modules and loss and torch.optim's SGD, in the same loop on the same batches; more CPU "
        "time is a tenth more for an epoch.",
        "Torch's own initial weights are those of torch.nn.Linear, U(±1/√inputs), biases too.",
        "If only initial weights differ, the same ones give the same result: a loss within 1 %, an accuracy within "
        "half a point.",
    ],
)
