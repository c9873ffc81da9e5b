from labcheck import Arm, Claim, beats
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

OTHERS = {
    "256-256-.1-5": {},
    "256-512-.1-5": {"hidden": 512},
    "256-256-.3-5": {"lr": 0.3},
    "256-256-.1-10": {"epochs": 10},
}

claim = Claim(
    id="fashion/best",
    statement="256-512-.3-10 beats the base 256-256-.1-5, and each net that differs from the base in one setting of "
    "these, in training loss and accuracy.",
    citation="report fashion, the supposedly best settings; figure 256-512-.3-10",
    lab=Fashion,
    arms={
        "256-512-.3-10": Arm({"hidden": 512, "lr": 0.3, "epochs": 10}),
        **{name: Arm(settings) for name, settings in OTHERS.items()},
    },
    relations=[beats("256-512-.3-10", other, metric) for other in OTHERS for metric in (FINAL_LOSS, TEST_ACCURACY)],
    seeds={"quick": 10, "full": 20},
)
