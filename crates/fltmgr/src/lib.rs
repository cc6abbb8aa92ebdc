//! Windows Filter Manager communication ports, and the filter manager behind them, for Linux.
#![forbid(unsafe_code)]
