"""What a session does with claims: plan, train, judge, and compare with the baselines."""
