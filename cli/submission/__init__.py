"""From options to a Job manifest. Pure: no clock, disk, network or randomness."""
