//! Typed settings from code and TOML, merged by path into plans.
