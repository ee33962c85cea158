"""Judgements without a world: functions from values to values with a reason. No SQL, network, clock or chance."""
