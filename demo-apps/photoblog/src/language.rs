//! English and German, by `Accept-Language`. The English sentence is the key: `t("Albums")` in a template.
//!
//! The tool `templates` gives each template the value `language`, so error pages and the login have it, too.

use kirsch::{Fault, FieldError, FormErrors, Request};
use minijinja::{Environment, State};
use std::collections::BTreeMap;

/// The languages, the first one for everybody else.
const OFFERED: [&str; 2] = ["en", "de"];

const GERMAN: &[(&str, &str)] = &[
    ("Add an album", "Neues Album"),
    ("Albums", "Alben"),
    ("Approve", "Freigeben"),
    ("Archive", "Archiv"),
    ("Back to the blog", "Zurück zum Blog"),
    ("Caption", "Bildtext"),
    ("Choose photos", "Fotos auswählen"),
    ("Comment", "Kommentar"),
    ("Comments", "Kommentare"),
    ("Comments that wait", "Wartende Kommentare"),
    ("Delete", "Löschen"),
    ("Delete the album", "Album löschen"),
    ("Desk", "Schreibtisch"),
    ("Draft", "Entwurf"),
    ("Earlier in the album", "Weiter nach vorn"),
    ("Edit", "Bearbeiten"),
    ("Edit the photo", "Foto bearbeiten"),
    ("Feed", "Feed"),
    (
        "If you write to us about this, please name the number",
        "Wenn Sie uns dazu schreiben, nennen Sie bitte die Nummer",
    ),
    ("In the album", "Im Album"),
    ("JPEG, PNG, WebP or GIF, up to 60 megapixels each", "JPEG, PNG, WebP oder GIF, je bis 60 Megapixel"),
    ("Later in the album", "Weiter nach hinten"),
    ("Latest photos", "Neueste Fotos"),
    ("Leave this field empty", "Dieses Feld leer lassen"),
    ("Log in", "Anmelden"),
    ("Log out", "Abmelden"),
    ("Login by script", "Anmeldung durch ein Skript"),
    ("More photos", "Weitere Fotos"),
    ("Name", "Name"),
    ("Newer", "Neuere"),
    ("Next", "Nächstes"),
    ("No photo has these words.", "Kein Foto hat diese Wörter."),
    ("No photos yet.", "Noch keine Fotos."),
    (
        "Nothing is saved yet. Please look at the marked fields.",
        "Es ist noch nichts gespeichert. Bitte sehen Sie die markierten Felder an.",
    ),
    ("Older", "Ältere"),
    ("Pages", "Seiten"),
    ("Password", "Passwort"),
    ("Place", "Platz"),
    ("Previous", "Voriges"),
    ("Published", "Veröffentlicht"),
    ("Save", "Speichern"),
    ("Saved.", "Gespeichert."),
    ("Search", "Suche"),
    ("Skip to the content", "Zum Inhalt springen"),
    (
        "Somebody else has changed this meanwhile. Your text is below, theirs beside it. Saving replaces theirs.",
        "Jemand anders hat dies inzwischen geändert. Unten steht Ihr Text, daneben der andere. Speichern ersetzt den anderen.",
    ),
    ("Send", "Absenden"),
    ("Story", "Geschichte"),
    ("Tags", "Schlagwörter"),
    ("Take back", "Zurückholen"),
    (
        "Thank you. Others see your comment once an author has read it.",
        "Danke. Andere sehen Ihren Kommentar, sobald ihn ein Autor gelesen hat.",
    ),
    ("The album is gone.", "Das Album ist weg."),
    ("The album is there.", "Das Album ist da."),
    (
        "The photo is away. You can take it back for ten minutes.",
        "Das Foto ist weg. Zehn Minuten lang können Sie es zurückholen.",
    ),
    ("The photo is back.", "Das Foto ist wieder da."),
    ("The pictures are being made.", "Die Bilder werden gerade gemacht."),
    (
        "The pictures cannot be made: the file is broken.",
        "Die Bilder lassen sich nicht machen: Die Datei ist beschädigt.",
    ),
    ("Thrown away", "Weggeworfen"),
    ("Title", "Titel"),
    ("Upload", "Hochladen"),
    ("Words, separated by blanks", "Wörter, durch Leerzeichen getrennt"),
    ("Your name", "Ihr Name"),
    ("Your text", "Ihr Text"),
    ("Their text", "Der andere Text"),
    ("What are you looking for?", "Wonach suchen Sie?"),
    ("photo", "Foto"),
    ("photos", "Fotos"),
    ("1 photo came.", "1 Foto ist gekommen."),
    ("photos came.", "Fotos sind gekommen."),
    // Refusals, and what the framework says to visitors.
    ("Bad Request", "Ungültige Anfrage"),
    ("Conflict", "Konflikt"),
    ("Content Too Large", "Zu groß"),
    ("Forbidden", "Nicht erlaubt"),
    ("Internal Server Error", "Fehler auf dem Server"),
    ("Method Not Allowed", "So nicht möglich"),
    ("Not Found", "Nicht gefunden"),
    ("Service Unavailable", "Gerade nicht möglich"),
    ("Too Many Requests", "Zu viele Anfragen"),
    ("Unprocessable Content", "Unbrauchbar"),
    ("Unsupported Media Type", "Unbekanntes Format"),
    (
        "Something went wrong on the server. The cause has been written to its log.",
        "Auf dem Server ist etwas schiefgegangen. Die Ursache steht in seinem Protokoll.",
    ),
    (
        "The album still has photos. Please delete them first.",
        "Das Album hat noch Fotos. Bitte löschen Sie zuerst diese.",
    ),
    (
        "The form is too old, or your browser keeps no cookies. Please go back, load the page again and send it once more.",
        "Das Formular ist zu alt, oder Ihr Browser nimmt keine Cookies an. Bitte gehen Sie zurück, laden Sie die Seite neu und senden Sie es noch einmal.",
    ),
    (
        "The disk of the server is full. The photo is not kept.",
        "Die Festplatte des Servers ist voll. Das Foto ist nicht gespeichert.",
    ),
    ("The name or the password is not right.", "Name oder Passwort stimmt nicht."),
    (
        "The photo has too many pixels. At most 60 megapixels are taken.",
        "Das Foto hat zu viele Pixel. Höchstens 60 Megapixel werden angenommen.",
    ),
    ("The photo is broken.", "Das Foto ist beschädigt."),
    ("The photo is broken: it ends in the middle.", "Das Foto ist beschädigt: Es hört mittendrin auf."),
    ("The request is larger than is allowed here.", "Die Anfrage ist größer, als es hier erlaubt ist."),
    ("The server is busy at the moment.", "Der Server ist gerade überlastet."),
    ("There is no page at this address.", "Unter dieser Adresse gibt es keine Seite."),
    ("There were too many requests.", "Das waren zu viele Anfragen."),
    (
        "This form was open for too long, or cookies are off. Please try again.",
        "Das Formular war zu lange offen, oder Cookies sind abgeschaltet. Bitte versuchen Sie es noch einmal.",
    ),
    (
        "This is no photo. JPEG, PNG, WebP and GIF are taken.",
        "Das ist kein Foto. JPEG, PNG, WebP und GIF werden angenommen.",
    ),
    (
        "Too many comments wait to be read. Please come again tomorrow.",
        "Zu viele Kommentare warten darauf, gelesen zu werden. Bitte kommen Sie morgen wieder.",
    ),
];

const ENGLISH_MONTHS: &str = "January February March April May June July August September October November December";
const GERMAN_MONTHS: &str = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember";

/// The visitor's language: `en` or `de`.
pub(crate) fn of(request: &Request) -> &'static str {
    request.best_language(&OFFERED)
}

/// A sentence in this language. One that has no translation stays English.
pub(crate) fn say<'s>(language: &str, english: &'s str) -> &'s str {
    let german = || GERMAN.iter().find(|(key, _)| *key == english).map(|(_, german)| *german);
    if language == "de" { german().unwrap_or(english) } else { english }
}

/// How many photos an upload has brought.
pub(crate) fn photos_came(language: &str, count: usize) -> String {
    match count {
        1 => say(language, "1 photo came.").to_owned(),
        _ => format!("{count} {}", say(language, "photos came.")),
    }
}

/// The errors of a form in the visitor's language.
pub(crate) fn of_form(errors: FormErrors, request: &Request) -> FormErrors {
    if of(request) != "de" {
        return errors;
    }
    errors.translated(|error: &FieldError| match error.fault() {
        Fault::Missing => Some("Bitte ausfüllen.".to_owned()),
        Fault::Length { most, .. } => Some(format!("Höchstens {most} Zeichen.")),
        _ => None,
    })
}

/// Teaches templates `t("Albums")`, `moment|date` and `"2026-11"|month`.
pub(crate) fn teach(environment: &mut Environment<'static>) {
    let german: BTreeMap<&str, &str> = GERMAN.iter().copied().collect();
    environment.add_function("t", move |state: &State<'_, '_>, english: String| match is_german(state) {
        true => german.get(&*english).map_or(english, |german| (*german).to_owned()),
        false => english,
    });
    environment.add_filter("date", |state: &State<'_, '_>, moment: String| {
        let day = moment.get(8..10).unwrap_or_default().trim_start_matches('0').to_owned();
        let dot = if is_german(state) { "." } else { "" };
        month_of(&moment, is_german(state)).map_or(moment, |month| format!("{day}{dot} {month}"))
    });
    environment.add_filter("month", |state: &State<'_, '_>, month: String| {
        month_of(&month, is_german(state)).unwrap_or(month)
    });
}

fn is_german(state: &State<'_, '_>) -> bool {
    state.lookup("language").is_some_and(|language| language.as_str() == Some("de"))
}

/// `2026-11...` as `November 2026`.
fn month_of(moment: &str, is_german: bool) -> Option<String> {
    let (year, number) = (moment.get(..4)?, moment.get(5..7)?.parse::<usize>().ok()?);
    let months = if is_german { GERMAN_MONTHS } else { ENGLISH_MONTHS };
    Some(format!("{} {year}", months.split(' ').nth(number.checked_sub(1)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn each_sentence_of_the_templates_is_there_in_german() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let files = [folder.clone(), folder.join("desk")].map(|folder| fs::read_dir(folder).expect("the templates"));
        let mut sentences = 0;
        for file in files.into_iter().flatten() {
            let path = file.expect("a file").path();
            if path.is_dir() {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a template");
            for part in text.split("t(\"").skip(1) {
                let english = part.split('"').next().unwrap_or_default();
                let is_there = GERMAN.iter().any(|(key, _)| *key == english);
                assert!(is_there, "{}: {english:?}", path.display());
                sentences += 1;
            }
        }
        assert!(sentences > 30);
    }

    #[test]
    fn months_have_their_names() {
        assert_eq!(month_of("2026-03", true).as_deref(), Some("März 2026"));
        assert_eq!(month_of("2026-12-24T18:00:00Z", false).as_deref(), Some("December 2026"));
        for text in ["", "2026-13", "2026-00", "2026", "ääää-ää"] {
            assert_eq!(month_of(text, false), None, "{text}");
        }
    }
}
