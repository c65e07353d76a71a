//! The one form in which sessions are written down, for every engine.
//!
//! ```text
//! byte 0      the version of the form: 1
//! bytes 1..   the content as JSON
//! ```
//!
//! Version, end of life and the age of the cookie are not in it: engines keep them beside it, where they can compare
//! them. A form that this program does not know (written by a later one, or spoiled) is [`Unreadable`]; the store
//! quarantines the record and goes on without it.

use super::{Data, StoreError};

/// The form that is written.
const FORM: u8 = 1;

/// Writes the content down, at most `limit` bytes, the maximum of the engine. The program's own limit,
/// `sessions.max_size`, has been checked by then.
///
/// # Errors
/// When it is larger.
pub fn encode(data: &Data, limit: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![FORM];
    serde_json::to_writer(&mut bytes, data)
        .map_err(|error| StoreError::new("a session cannot be written as JSON", "").because(error))?;
    if bytes.len() > limit { Err(StoreError::too_large(bytes.len(), limit)) } else { Ok(bytes) }
}

/// Reads the output of [`encode`].
///
/// # Errors
/// Names the mistake in the bytes, without showing them.
pub fn decode(bytes: &[u8]) -> Result<Data, Unreadable> {
    match bytes.split_first() {
        Some((&FORM, json)) => serde_json::from_slice(json)
            .map_err(|error| Unreadable(format!("it is spoiled in line {}, column {}", error.line(), error.column()))),
        Some((form, _)) => Err(Unreadable(format!("its form is {form}, this program reads {FORM}"))),
        None => Err(Unreadable("it is empty".to_owned())),
    }
}

/// Why the bytes of a session cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a session cannot be read: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut data = Data::new();
        data.insert("text", "ä \u{1f352} \0 \" \n".into());
        data.insert("nested", serde_json::json!({"list": [1, -2, 3.5, null, true]}));
        assert_eq!(decode(&encode(&data, 1000).unwrap()), Ok(data));
    }

    #[test]
    fn a_foreign_record_is_named_and_not_shown() {
        for (bytes, problem) in [
            (&b""[..], "a session cannot be read: it is empty"),
            (b"\x02{}", "a session cannot be read: its form is 2, this program reads 1"),
            (b"\x01{\"user\":", "a session cannot be read: it is spoiled in line 1, column 8"),
            (b"\x01[1]", "a session cannot be read: it is spoiled in line 1, column 0"),
        ] {
            assert_eq!(decode(bytes).unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn too_much_is_refused_with_both_sizes() {
        let mut data = Data::new();
        data.insert("text", "x".repeat(100).into());
        let refused = encode(&data, 64).unwrap_err();
        assert!(refused.is_too_large());
        assert!(refused.to_string().contains("112 bytes, the maximum is 64"), "{refused}");
    }
}
