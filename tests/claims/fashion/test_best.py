from labcheck.claims import Arm, Claim
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion
from labcheck.relations import beats

claim = Claim(
    id="fashion/best",
    statement="256-512-.3-10 beats the base 256-256-.1-5 in training loss and accuracy.",
    source="report fashion, the supposedly best settings; figure 256-512-.3-10",
    lab=Fashion,
    arms={"best": Arm({"hidden": 512, "lr": 0.3, "epochs": 10}), "base": Arm()},
    relations=[beats("best", "base", FINAL_LOSS), beats("best", "base", TEST_ACCURACY)],
    seeds={"quick": 10, "full": 20},
)
