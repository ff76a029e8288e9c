//! The `Range` header: one range of bytes, as clients send it to resume a download.

/// The part of a file that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestedRange {
    /// The whole file: there is no range, or one that is not understood.
    Whole,
    /// The bytes from `first` to `last`, both included.
    Part { first: usize, last: usize },
    /// A range outside the file.
    Unsatisfiable,
}

/// Parses a `Range` header for a file of `length` bytes. Several ranges are answered with the whole
/// file, as the standard allows.
pub(crate) fn requested_range(header: Option<&str>, length: usize) -> RequestedRange {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return RequestedRange::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return RequestedRange::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => part(first, last, length),
        (Ok(first), Err(_)) if last.is_empty() => part(first, usize::MAX, length),
        (Err(_), Ok(0)) if first.is_empty() => RequestedRange::Unsatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() => {
            part(length.saturating_sub(suffix), usize::MAX, length)
        }
        _ => RequestedRange::Whole,
    }
}

fn part(first: usize, last: usize, length: usize) -> RequestedRange {
    if first >= length {
        return RequestedRange::Unsatisfiable;
    }
    RequestedRange::Part {
        first,
        last: last.min(length - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestedRange, requested_range};

    #[test]
    fn a_range_is_read_as_the_standard_says() {
        let cases = [
            (None, RequestedRange::Whole),
            (
                Some("bytes=0-9"),
                RequestedRange::Part { first: 0, last: 9 },
            ),
            (
                Some("bytes=90-"),
                RequestedRange::Part {
                    first: 90,
                    last: 99,
                },
            ),
            (
                Some("bytes=90-500"),
                RequestedRange::Part {
                    first: 90,
                    last: 99,
                },
            ),
            (
                Some("bytes=-10"),
                RequestedRange::Part {
                    first: 90,
                    last: 99,
                },
            ),
            (
                Some("bytes=-1000"),
                RequestedRange::Part { first: 0, last: 99 },
            ),
            (Some("bytes=100-"), RequestedRange::Unsatisfiable),
            (Some("bytes=-0"), RequestedRange::Unsatisfiable),
            (Some("bytes=9-3"), RequestedRange::Whole),
            (Some("bytes=0-1,5-6"), RequestedRange::Whole),
            (Some("lines=0-1"), RequestedRange::Whole),
            (Some("bytes=a-b"), RequestedRange::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(requested_range(header, 100), expected, "{header:?}");
        }
    }
}
