from labcheck import CPU_SECONDS, Arm, Claim, beats
from labcheck.labs.fashion import FINAL_LOSS, Fashion

claim = Claim(
    id="fashion/batch-size",
    statement="A larger batch lowers the training loss more slowly and costs more CPU time.",
    citation="report fashion, influence of the batch size; figures 256-256-.1-5 and 400-256-.1-5 without their numbers",
    lab=Fashion,
    arms={"smallest": Arm({"smallest": True}), "256": Arm({"batch": 256}), "400": Arm({"batch": 400})},
    relations=[
        beats("smallest", "256", FINAL_LOSS),
        beats("256", "400", FINAL_LOSS),
        beats("smallest", "256", CPU_SECONDS, by=0.1),
        beats("256", "400", CPU_SECONDS, by=0.1),
    ],
    seeds={"quick": 10, "full": 20},
    notes=["Slower means a larger loss in the fifth epoch. Less CPU time means a tenth less per epoch."],
)
