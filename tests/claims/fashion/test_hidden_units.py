from labcheck import CPU_SECONDS, Arm, Claim, beats
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

claim = Claim(
    id="fashion/hidden-units",
    statement="More hidden units give a slightly lower training loss and a slightly higher accuracy, and cost much "
    "more CPU time.",
    citation="report fashion, influence of the hidden units; figures 256-256-.1-5, 256-512-.1-5, 256-1024-.1-5",
    lab=Fashion,
    arms={"256": Arm({"hidden": 256}), "512": Arm({"hidden": 512}), "1024": Arm({"hidden": 1024})},
    relations=[
        beats("512", "256", FINAL_LOSS),
        beats("1024", "512", FINAL_LOSS),
        beats("512", "256", TEST_ACCURACY),
        beats("1024", "512", TEST_ACCURACY),
        beats("256", "1024", CPU_SECONDS, by=0.5),
    ],
    seeds={"quick": 10, "full": 20},
    notes=["Much more means more than twice the CPU time per epoch. The effects show how slight the improvements are."],
)
