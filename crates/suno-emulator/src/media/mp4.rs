//! Placeholders for videos and for audio in an MPEG-4 container: a file without tracks, which is
//! valid and holds nothing to play.

use bytes::{BufMut, Bytes, BytesMut};

/// Units per second of the duration.
const TIMESCALE: u32 = 1000;
/// The duration that the file claims, in milliseconds.
const DURATION_MS: u32 = 1000;

/// Returns a file with this brand, such as `isom` for video and `M4A ` for audio. The text makes
/// files of different tasks differ.
pub(crate) fn file(brand: [u8; 4], text: &str) -> Bytes {
    let mut file = BytesMut::new();
    let mut brands = brand.to_vec();
    brands.put_u32(0);
    brands.put_slice(b"isommp42");
    put_box(&mut file, *b"ftyp", &brands);
    put_box(&mut file, *b"free", text.as_bytes());
    let mut movie = Vec::new();
    put_box(&mut movie, *b"mvhd", &movie_header());
    put_box(&mut file, *b"moov", &movie);
    file.freeze()
}

/// The movie header of version 0: times, rate 1, volume 1, the identity matrix, and the number of
/// the next track.
fn movie_header() -> Vec<u8> {
    let mut header = Vec::new();
    for number in [0, 0, 0, TIMESCALE, DURATION_MS, 0x0001_0000] {
        header.put_u32(number);
    }
    header.put_u16(0x0100);
    header.put_bytes(0, 10);
    for number in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        header.put_u32(number);
    }
    header.put_bytes(0, 24);
    header.put_u32(1);
    header
}

fn put_box(file: &mut impl BufMut, kind: [u8; 4], data: &[u8]) {
    file.put_u32((data.len() + 8) as u32);
    file.put_slice(&kind);
    file.put_slice(data);
}

#[cfg(test)]
mod tests {
    use super::file;

    #[test]
    fn every_box_ends_where_the_next_one_begins() {
        let file = file(*b"isom", "a text");
        let mut rest = &file[..];
        let mut kinds = Vec::new();
        while let Some((size, after)) = rest.split_first_chunk::<4>() {
            kinds.push(&after[..4]);
            rest = &rest[u32::from_be_bytes(*size) as usize..];
        }
        assert_eq!(kinds, [b"ftyp", b"free", b"moov"]);
        assert_eq!(&file[8..12], b"isom");
        // The header has 100 bytes in version 0, and its own head and that of its parent.
        assert!(file.ends_with(&[0, 0, 0, 1]));
        assert_eq!(file.len() - 24 - 14, 8 + 8 + 100);
    }
}
