//! `multipart/form-data`, as far as uploads use it.

use bytes::Bytes;

/// The maximum number of parts.
const PARTS_MAX: usize = 16;
/// The maximum length of a boundary, by the standard.
const BOUNDARY_BYTES_MAX: usize = 70;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) bytes: Bytes,
}

/// Returns the boundary in a content type.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let mut pieces = content_type.split(';').map(str::trim);
    let essence = pieces.next()?;
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = pieces.find_map(|piece| parameter(piece, "boundary"))?;
    (1..=BOUNDARY_BYTES_MAX)
        .contains(&boundary.len())
        .then_some(boundary)
}

/// Returns the boundary that a body begins with: a published client sends a form as
/// `application/json`.
pub(super) fn boundary_in(body: &[u8]) -> Option<String> {
    let line = body.strip_prefix(b"--")?;
    let end = find(&line[..line.len().min(BOUNDARY_BYTES_MAX + 2)], b"\r\n")?;
    String::from_utf8(line[..end].to_vec()).ok()
}

/// Splits a body. `None` if it is not a complete form.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
    let opening = format!("--{boundary}");
    let separator = format!("\r\n--{boundary}");
    let mut rest = body.slice(find(body, opening.as_bytes())? + opening.len()..);
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() >= PARTS_MAX || !rest.starts_with(b"\r\n") {
            return None;
        }
        let end = find(&rest[2..], separator.as_bytes())? + 2;
        parts.push(part(&rest.slice(2..end))?);
        rest = rest.slice(end + separator.len()..);
    }
    Some(parts)
}

fn part(part: &Bytes) -> Option<Part> {
    let head_end = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..head_end]).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    let value = |wanted: &str| {
        let mut pieces = disposition.split(';').map(str::trim);
        pieces.find_map(|piece| parameter(piece, wanted))
    };
    Some(Part {
        name: value("name")?,
        file_name: value("filename"),
        bytes: part.slice(head_end + 4..),
    })
}

/// Returns the value of `name=value` or `name="value"`.
fn parameter(piece: &str, wanted: &str) -> Option<String> {
    let (name, value) = piece.split_once('=')?;
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    name.trim()
        .eq_ignore_ascii_case(wanted)
        .then(|| unquoted.unwrap_or(value).to_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{boundary, boundary_in, parts};

    const BODY: &str = "--b1\r\nContent-Disposition: form-data; name=\"uploadPath\"\r\n\r\nsongs\r\n\
        --b1\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
        Content-Type: audio/mpeg\r\n\r\n\r\nID3\r\n--not\r\n--b1--\r\n";

    #[test]
    fn a_form_is_split_at_its_boundary_alone() {
        let form = parts(&Bytes::from(BODY), "b1").unwrap();
        assert_eq!(
            (form[0].name.as_str(), &form[0].bytes[..]),
            ("uploadPath", &b"songs"[..])
        );
        assert_eq!(form[1].file_name.as_deref(), Some("a.mp3"));
        assert_eq!(&form[1].bytes[..], b"\r\nID3\r\n--not");
        assert_eq!(form.len(), 2);
    }

    #[test]
    fn no_beginning_of_a_form_is_taken_for_a_whole_one() {
        for end in 0..BODY.len() - "--\r\n".len() {
            let cut = Bytes::copy_from_slice(&BODY.as_bytes()[..end]);
            assert_eq!(parts(&cut, "b1"), None, "{end}");
        }
    }

    #[test]
    fn the_boundary_may_be_quoted() {
        let quoted = boundary("multipart/form-data; charset=x; boundary=\"b 1\"");
        assert_eq!(quoted.as_deref(), Some("b 1"));
        assert_eq!(boundary("multipart/form-data; boundary="), None);
        assert_eq!(boundary("application/json; boundary=b1"), None);
        assert_eq!(boundary_in(BODY.as_bytes()).as_deref(), Some("b1"));
        assert_eq!(boundary_in(b"{}"), None);
        assert_eq!(boundary_in(b"--b1"), None);
    }
}
