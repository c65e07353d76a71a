//! Run it with `kirsch dev`, or with `cargo run` in its folder.

fn main() -> kirsch::Result {
    env_logger::init_from_env(env_logger::Env::default().default_filter_or("info"));
    skeleton_name::app()
        .config_file("site.toml")
        .serve("127.0.0.1:8080")
}
