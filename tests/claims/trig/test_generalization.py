from labcheck import Arm, Claim, Metric, beats, consistent_with, no_worse, reaches
from labcheck.labs.trig import GRID_MSE, TEST_MSE, TRAIN_MSE, VAL_MSE, Trig

GRID_BELOW = Metric("grid_below", higher_is_better=True, ratio=False)
PRINTED = {
    TRAIN_MSE: 0.00028573558658812016,
    VAL_MSE: 0.002732498338446021,
    TEST_MSE: 0.0010319595457985997,
    GRID_MSE: 0.0003351727209519595,
    Metric("grid_max", higher_is_better=False): 0.0075248233042657375,
    Metric("grid_min", higher_is_better=False): 1.3219647598816664e-11,
}

claim = Claim(
    id="trig/generalization",
    statement="The base network has a test MSE of 0.00103 and fits 10,000 points of [0, 2π) no worse than the "
    "validation samples, almost everywhere with ln MSE below -5; a lower stop threshold is better.",
    citation="report trig, sections 3 and 5, Figs. 4 and 6",
    lab=Trig,
    arms={
        "base": Arm({}, {"Fig. 4": PRINTED}),
        "stop at lr 1e-6": Arm({"stop_lr": 1e-6, "least_lr": 0.0}),
    },
    relations=[
        *(consistent_with("base", value, metric) for metric, value in PRINTED.items()),
        no_worse("base", "base", GRID_MSE, other=VAL_MSE),
        reaches("base", 0.95, GRID_BELOW),
        beats("stop at lr 1e-6", "base", VAL_MSE),
    ],
    seeds={"quick": 60, "full": 360},
    notes=[
        "Almost everywhere means at 95 % of the points.",
        "How much lower the threshold should be is not stated: two more drops are assumed, without a smallest rate, "
        "which would keep the rate above the threshold.",
        "As one of nine relations, a printed number can be refuted with at least 359 seeds.",
    ],
)
