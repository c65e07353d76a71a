//! The files are in the guide, and the programs that read them find nothing to object to.

use crate::{folder, read};
use kirsch::server::ServerSettings;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

#[test]
fn the_guide_prints_every_file() {
    let guide: String = ["deployment.md", "proxies.md"].map(|page| read(&format!("../guide/{page}"))).concat();
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(guide.contains(&format!("\n{}```", read(&name))), "docs/guide must print docs/deployment/{name}");
    }
}

/// What systemd says about the unit, started with these arguments; `None` where it is not installed.
fn systemd_analyze(arguments: &[&str], with_ports: bool) -> Option<Output> {
    let units = tempfile::tempdir().expect("a temporary folder");
    for unit in ["shop.service", "shop-https.socket", "shop-http.socket"] {
        // It looks for the program.
        let text = read(unit).replace("/usr/local/bin/shop", "/bin/true");
        std::fs::write(units.path().join(unit), text).expect("a file");
    }
    if with_ports {
        let below = units.path().join("shop.service.d");
        std::fs::create_dir(&below).expect("a folder");
        std::fs::write(below.join("ports.conf"), read("ports.conf")).expect("a file");
    }
    match Command::new("systemd-analyze").args(arguments).current_dir(units.path()).output() {
        Ok(output) => Some(output),
        Err(_) => {
            println!("systemd-analyze is not installed; `bash check` installs it");
            None
        }
    }
}

#[test]
fn systemd_objects_to_no_line_of_the_units() {
    for with_ports in [false, true] {
        let units = ["verify", "./shop.service", "./shop-https.socket", "./shop-http.socket"];
        let Some(told) = systemd_analyze(&units, with_ports) else { return };
        assert!(told.status.success() && told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
    }
}

#[test]
fn the_walls_of_the_unit_are_as_high_as_the_guide_says() {
    let Some(told) = systemd_analyze(&["security", "--offline=true", "./shop.service"], false) else { return };
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let figure = told.split("shop.service: ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a figure");
    // Each version of systemd counts a little differently.
    assert!(figure.parse::<f32>().expect("a number") < 2.5, "{told}");
    assert!(read("../guide/deployment.md").contains("an exposure of 1.6 of 10"));
}

#[test]
fn each_wait_of_the_files_goes_with_that_of_the_server() {
    let server = ServerSettings::default();
    let of_unit = read("shop.service").split("TimeoutStopSec=").nth(1).and_then(first_number).expect("a time");
    assert!(Duration::from_secs(of_unit) > server.drain_timeout);
    for (file, word) in [("nginx.conf", "keepalive_timeout "), ("apache.conf", "ttl="), ("apache-rewrite.conf", "ttl=")]
    {
        let times: Vec<_> = read(file).split(word).skip(1).filter_map(first_number).map(Duration::from_secs).collect();
        assert!(!times.is_empty() && times.iter().all(|time| *time < server.idle_timeout), "{file}: {times:?}");
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The instructions of the Dockerfile, each in one line.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let instructions = text.lines().filter_map(|line| line.split_once(' '));
    instructions.map(|(name, rest)| (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

#[test]
fn the_image_holds_to_the_rules_for_images() {
    let all = instructions();
    let last = |wanted: &str| all.iter().rfind(|(name, _)| name == wanted).map(|(_, rest)| rest.as_str());
    let starts: Vec<_> = all.iter().filter(|(name, _)| name == "FROM").map(|(_, rest)| rest).collect();
    assert_eq!(starts.len(), 2, "it is built in one image and runs in another");
    assert!(starts.iter().all(|image| image.contains(':') && !image.contains(":latest")), "{starts:?}");
    assert!(last("USER").is_some_and(|user| user.parse::<u32>().is_ok_and(|id| id > 0)), "a number, for Kubernetes");
    assert!(last("HEALTHCHECK").is_some_and(|check| check.contains("/health/live")));
    assert!(last("CMD").is_some_and(|command| command.starts_with('[')), "a shell would keep SIGTERM to itself");
    let places = all.iter().filter(|(name, _)| name == "WORKDIR").map(|(_, rest)| rest);
    assert!(places.into_iter().all(|place| Path::new(place).is_absolute()));
    for (_, run) in all.iter().filter(|(name, rest)| name == "RUN" && rest.contains("apt-get install")) {
        assert!(
            ["--yes", "--no-install-recommends", "rm -rf /var/lib/apt/lists"].iter().all(|word| run.contains(word))
        );
    }
}

#[test]
fn what_the_image_copies_is_there_or_is_made_before() {
    let guide = read("../guide/deployment.md");
    let made_by_cargo = ["Cargo.toml", "Cargo.lock", "src"];
    for (_, rest) in instructions().iter().filter(|(name, _)| name == "COPY") {
        let words: Vec<_> = rest.split(' ').collect();
        let (from, paths) = match words[0].strip_prefix("--from=") {
            Some(from) => (Some(from), &words[1..]),
            None => (None, &words[..]),
        };
        for path in &paths[..paths.len() - 1] {
            let is_there = match from {
                Some("build") => guide.contains(path.trim_start_matches("/shop/")),
                Some(context) => guide.contains(&format!("--build-context {context}=")),
                None => made_by_cargo.contains(path) || guide.contains(&format!("/etc/shop/{path}")),
            };
            assert!(is_there, "{rest}: {path}");
        }
    }
}
