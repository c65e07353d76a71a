use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

const FLUSH: Duration = Duration::from_secs(30);

fn kind(place: &str) -> FailureKind {
    FailureKind { error: "panic".to_owned(), place: place.to_owned(), route: "/".to_owned() }
}

fn fail(tickets: &Tickets, place: &str) -> Option<RequestId> {
    let place_of_ticket = tickets.count(kind(place), "2026-11-30T12:00:00.000000Z")?;
    let number = RequestId::next();
    let text =
        serde_json::json!({"error": "panic", "place": place, "route": "/", "causes": ["no luck"], "time": "2026"});
    let ticket = Ticket { number, time: "2026".to_owned(), message: "no luck".to_owned(), text: text.to_string() };
    tickets.write(place_of_ticket, ticket).then_some(number)
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "counts.json").collect()
}

#[test]
fn a_flood_leaves_ten_files_and_one_count_and_a_restart_goes_on_from_there() {
    let room = tempfile::tempdir().unwrap();
    let tickets = Tickets::open(room.path()).unwrap();
    let numbers: Vec<_> = (0..100_000).filter_map(|_| fail(&tickets, "src/main.rs:1:1")).collect();
    assert!(tickets.flush_within(FLUSH));
    assert_eq!((numbers.len(), files(room.path()).len()), (10, 10));
    drop(tickets);
    let tickets = Tickets::open(room.path()).unwrap();
    assert!(tickets.flush_within(FLUSH));
    let groups = tickets.groups();
    assert_eq!((groups.len(), groups[0].count, groups[0].tickets.len()), (1, 100_000, 10));
    assert_eq!(tickets.read(numbers[3]).unwrap().unwrap()["causes"][0], "no luck");
}

#[test]
fn the_folder_and_its_files_are_for_this_user_alone() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("a/tickets");
    let tickets = Tickets::open(&folder).unwrap();
    let number = fail(&tickets, "here").unwrap();
    assert!(tickets.flush_within(FLUSH));
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(format!("{number}.json")))), (0o700, 0o600));
    assert_eq!(mode(&folder.join("counts.json")), 0o600);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_at_the_start() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Tickets::open(&file.join("tickets")).unwrap_err().to_string();
    assert!(refused.starts_with("the folder of tickets ") && refused.contains("Not a directory"), "{refused}");
}

#[test]
fn a_disk_that_takes_nothing_costs_tickets_that_are_counted() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("tickets");
    let tickets = Tickets::open(&folder).unwrap();
    assert!(tickets.flush_within(FLUSH));
    fs::remove_dir_all(&folder).unwrap();
    let number = fail(&tickets, "here").unwrap();
    assert!(tickets.flush_within(FLUSH));
    assert_eq!(tickets.known.lost.load(Ordering::Relaxed), 1);
    assert_eq!((tickets.groups()[0].count, tickets.read(number)), (1, Ok(None)));
}

#[test]
fn foreign_files_in_the_folder_are_left_alone_and_no_link_is_followed() {
    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("secret"), "{\"error\": \"x\"}").unwrap();
    let folder = room.path().join("tickets");
    fs::create_dir(&folder).unwrap();
    for name in ["0123456789abcdef.json", "notes.txt", "../x.json"].map(|name| folder.join(name)) {
        fs::write(name, "no JSON").unwrap();
    }
    symlink(room.path().join("secret"), folder.join("00000000000000aa.json")).unwrap();
    let tickets = Tickets::open(&folder).unwrap();
    assert!(tickets.flush_within(FLUSH));
    assert_eq!(tickets.groups().len(), 0);
    assert_eq!(files(&folder).len(), 3);
}

#[test]
fn the_half_of_a_ticket_is_removed_at_the_next_start() {
    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("0123456789abcdef.json.part"), "{\"error\"").unwrap();
    assert!(Tickets::open(room.path()).unwrap().flush_within(FLUSH));
    assert_eq!(files(room.path()), Vec::<String>::new());
}
