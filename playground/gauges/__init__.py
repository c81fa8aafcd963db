"""Load of CPU, GPUs, NPUs and workers, memory and power, sampled once a second."""
