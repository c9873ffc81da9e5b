from labcheck import Arm, Claim, beats, differs, equivalent, stays_worse_than, value_at
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

FIRST_TEST_ACCURACY = value_at("test_accuracy", 1, rising=True)

claim = Claim(
    id="fashion/swaps",
    statement="One part of the base network is exchanged at a time: Tanh trains like ReLU; MultiMarginLoss changes the "
    "loss, but not the accuracy; initialization matters, and a bad one is a disaster; Adam learns faster and ends "
    "higher.",
    citation="report fashion, a new method of each kind; figures without their numbers",
    lab=Fashion,
    arms={
        "base": Arm(),
        "tanh": Arm({"activation": "tanh"}),
        "multi-margin": Arm({"loss": "multi_margin"}),
        "xavier": Arm({"init": "xavier_normal"}),
        "zeros": Arm({"init": "zeros"}),
        "adam": Arm({"optimizer": "adam", "lr": 1e-3}),
    },
    relations=[
        equivalent("tanh", "base", FINAL_LOSS, margin=0.1),
        equivalent("tanh", "base", TEST_ACCURACY, margin=0.02),
        differs("multi-margin", "base", FINAL_LOSS, margin=0.1),
        equivalent("multi-margin", "base", TEST_ACCURACY, margin=0.02),
        differs("xavier", "base", FINAL_LOSS, margin=0.1),
        stays_worse_than("zeros", 0.2, TEST_ACCURACY),
        beats("adam", "base", FIRST_TEST_ACCURACY),
        beats("adam", "base", TEST_ACCURACY),
    ],
    seeds={"quick": 10, "full": 20},
    notes=[
        "The base network is not stated: 256-256-.1-5 is assumed, and not the supposedly best 256-512-.3-10.",
        "Two results are alike if accuracies are within two points and training losses within 10 %; a changed loss "
        "differs by more than 10 %.",
        "The report names no bad initialization: weights of 0 are assumed. A disaster is a test accuracy below 20 %. "
        "The claim fashion/swaps-xavier judges whether Xavier's initialization itself is one.",
        "Adam's learning rate is not stated: torch's default, .001, is assumed, since .1 is far outside of its usual "
        "range.",
    ],
)
