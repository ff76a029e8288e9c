//! A small cover image as a PNG file: a seeded gradient with a disc.
//!
//! The pixels are stored uncompressed, which every decoder reads.

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;

/// Width and height in pixels.
const SIDE: u32 = 160;
/// Bytes of one row: a filter byte and three bytes per pixel.
const ROW_BYTES: usize = 1 + SIDE as usize * 3;
/// The largest stored block of a deflate stream.
const BLOCK_BYTES_MAX: usize = 65_535;

/// Returns a PNG file, which is the same for the same seed.
pub(crate) fn file(seed: u64) -> Bytes {
    let mut file = BytesMut::new();
    file.put_slice(b"\x89PNG\r\n\x1a\n");
    let mut header = Vec::new();
    header.put_u32(SIDE);
    header.put_u32(SIDE);
    // Eight bits per channel, red green blue, and the only methods there are.
    header.put_slice(&[8, 2, 0, 0, 0]);
    put_chunk(&mut file, b"IHDR", &header);
    put_chunk(
        &mut file,
        b"IDAT",
        &zlib_stored(&pixels(&mut Rng::with_seed(seed))),
    );
    put_chunk(&mut file, b"IEND", &[]);
    file.freeze()
}

fn pixels(rng: &mut Rng) -> Vec<u8> {
    // Neighbours on the colour wheel go together.
    let hue = rng.f64() * 6.0;
    let from = colour(hue, 0.45, 0.85);
    let to = colour(hue + 1.0, 0.7, 0.4);
    let disc = colour(hue - 0.6, 0.25, 0.97);
    let radius = SIDE as i32 * rng.i32(16..34) / 100;
    let centre = SIDE as i32 / 2;
    let mut rows = Vec::with_capacity(ROW_BYTES * SIDE as usize);
    for y in 0..SIDE as i32 {
        rows.push(0);
        for x in 0..SIDE as i32 {
            let (dx, dy) = (x - centre, y - centre);
            if dx * dx + dy * dy < radius * radius {
                rows.extend(disc);
            } else {
                let share = (x + y) * 255 / (2 * SIDE as i32);
                let blend = |a: u8, b: u8| {
                    ((i32::from(a) * (255 - share) + i32::from(b) * share) / 255) as u8
                };
                rows.extend([0, 1, 2].map(|c| blend(from[c], to[c])));
            }
        }
    }
    rows
}

/// A colour by its place on the wheel, where red is 0, green is 2 and blue is 4, by how colourful and by
/// how light it is, both from 0 to 1.
fn colour(hue: f64, saturation: f64, value: f64) -> [u8; 3] {
    [5.0, 3.0, 1.0].map(|offset| {
        let place = (hue + offset).rem_euclid(6.0);
        let share = place.min(4.0 - place).clamp(0.0, 1.0);
        (255.0 * value * (1.0 - saturation * share)) as u8
    })
}

fn put_chunk(file: &mut BytesMut, kind: &[u8; 4], data: &[u8]) {
    file.put_u32(data.len() as u32);
    file.put_slice(kind);
    file.put_slice(data);
    file.put_u32(!crc32(data, crc32(kind, !0)));
}

/// A zlib stream of stored blocks.
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(BLOCK_BYTES_MAX).peekable();
    while let Some(block) = blocks.next() {
        stream.push(u8::from(blocks.peek().is_none()));
        stream.put_u16_le(block.len() as u16);
        stream.put_u16_le(!(block.len() as u16));
        stream.extend(block);
    }
    stream.put_u32(adler32(data));
    stream
}

fn adler32(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

/// CRC-32 without the final inversion, so that parts can be strung together.
fn crc32(data: &[u8], start: u32) -> u32 {
    data.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{adler32, crc32};

    #[test]
    fn the_checksums_give_the_published_check_values() {
        assert_eq!(!crc32(b"123456789", !0), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
