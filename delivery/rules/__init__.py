"""Pure rules: functions from values to values with a reason. They use no SQL, network, clock or random numbers."""
