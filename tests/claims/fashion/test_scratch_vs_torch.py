from labcheck import CPU_SECONDS, Arm, Claim, beats, equivalent
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

BEST_SETTINGS = {"hidden": 512, "lr": 0.3, "epochs": 10}

claim = Claim(
    id="fashion/scratch-vs-torch",
    statement="The network from scratch takes more CPU time than torch's; torch's ends with a lower training loss and "
    "a higher accuracy, which may be due to the initial weights.",
    citation="report fashion, comparison of its own modules with PyTorch's; figures 256-512-.3-10 and "
    "256-512-.3-10-PyTorch",
    lab=Fashion,
    arms={
        "student": Arm(
            {**BEST_SETTINGS, "engine": "student", "activation": "relu", "optimizer": "sgd", "momentum": 0.0}
        ),
        "labcheck": Arm({**BEST_SETTINGS, "engine": "scratch"}),
        "torch": Arm({**BEST_SETTINGS, "engine": "torch", "init": "default"}),
        "torch, same start": Arm({**BEST_SETTINGS, "engine": "torch"}),
    },
    relations=[
        beats("torch", "student", CPU_SECONDS, by=0.1),
        beats("torch", "student", FINAL_LOSS),
        beats("torch", "student", TEST_ACCURACY),
        *(
            equivalent(arm, "student", metric, margin=margin, label="initial weights explain it")
            for arm in ("torch, same start", "labcheck")
            for metric, margin in ((FINAL_LOSS, 0.01), (TEST_ACCURACY, 0.005))
        ),
    ],
    seeds={"quick": 10, "full": 20},
    notes=[
        "The report does not print its own code. The arm student has raw tensors and autograd as in the textbook; "
        "labcheck's own layers are a third arm.",
        "The arm torch has the modules and the loss of torch.nn and the SGD of torch.optim, in the same loop on the "
        "same batches.",
        "The arms student and torch both load their batches with torch's DataLoader, which the textbook's training "
        "function takes for either; labcheck's reads them from memory.",
        "Less CPU time means a tenth less per epoch.",
        "Torch's own initial weights and biases are those of torch.nn.Linear, U(±1/√inputs).",
        "If the initial weights explain the difference, equal ones give equal results: a loss within 1 % and an "
        "accuracy within half a point.",
    ],
)
