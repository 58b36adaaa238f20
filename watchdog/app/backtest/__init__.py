"""Rules held against made-up series (`watchdog rules test`) and against history (`watchdog rules backtest`)."""
