//! Integration tests by feature live in `tests/`; this crate is otherwise empty.
