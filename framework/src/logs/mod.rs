//! The access record and the error log, both through the `log` facade.
