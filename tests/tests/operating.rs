//! A program as its operator runs it: as a user without rights, below a service manager, and exchanged for a newer one.

#[path = "operating/manager.rs"]
mod manager;
#[path = "operating/privileges.rs"]
mod privileges;
#[path = "operating/upgrade.rs"]
mod upgrade;

const PROGRAM: &str = env!("CARGO_BIN_EXE_attacked");
