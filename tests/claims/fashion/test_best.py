from labcheck import Arm, Claim, beats
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

COMPARED: dict[str, dict[str, object]] = {
    "256-256-.1-5": {},
    "256-512-.1-5": {"hidden": 512},
    "256-256-.3-5": {"lr": 0.3},
    "256-256-.1-10": {"epochs": 10},
}

claim = Claim(
    id="fashion/best",
    statement="256-512-.3-10 has a lower training loss and a higher accuracy than the base 256-256-.1-5 and than each "
    "network that differs from the base in one of these settings.",
    citation="report fashion, supposedly best settings; figure 256-512-.3-10",
    lab=Fashion,
    arms={
        "256-512-.3-10": Arm({"hidden": 512, "lr": 0.3, "epochs": 10}),
        **{name: Arm(settings) for name, settings in COMPARED.items()},
    },
    relations=[beats("256-512-.3-10", other, metric) for other in COMPARED for metric in (FINAL_LOSS, TEST_ACCURACY)],
    seeds={"quick": 10, "full": 20},
)
