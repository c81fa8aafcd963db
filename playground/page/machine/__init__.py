"""The Machine tab: devices, lanes, memory and the report."""
