//! What the macros accept and refuse: golden compile errors beside programs that must compile.
//!
//! After a wanted change of a message: `TRYBUILD=overwrite cargo test -p kirsch --test macros`, then read the difference.

#[test]
fn errors_point_at_the_users_own_tokens() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

#[test]
fn programs_compile() {
    trybuild::TestCases::new().pass("tests/compile_pass/*.rs");
}
