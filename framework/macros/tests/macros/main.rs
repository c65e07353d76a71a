//! The programs that the macros accept and refuse: some must compile, others give golden compile errors.
//!
//! After a wanted change of a message: `GOLDEN=overwrite cargo test -p kirsch-macros --test macros`, then read the
//! difference.

#![allow(
    clippy::borrowed_box,
    clippy::needless_lifetimes,
    clippy::non_minimal_cfg,
    clippy::uninlined_format_args,
    clippy::unwrap_used,
    reason = "programs as users may write them"
)]
#![allow(
    clippy::all,
    clippy::uninlined_format_args,
    clippy::unwrap_used,
    reason = "programs of users: unusual on purpose, under the lints that each names"
)]

mod generics_and_lifetimes;
mod golden;
mod page1_page2;
mod settings;
mod song_counter;
mod without_imports;

/// The golden messages are those of this Rust, 1.N, and later ones; earlier ones use other words.
const GOLDEN: u32 = 95;

#[test]
fn errors_point_at_the_users_own_tokens() {
    if rust() < GOLDEN {
        eprintln!("skipped: the golden messages are those of Rust 1.{GOLDEN}");
        return;
    }
    golden::check();
}

/// The N of the compiler's version, 1.N.
fn rust() -> u32 {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(compiler).arg("--version").output().expect("it has compiled this test");
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).expect("rustc 1.N.M")
}
